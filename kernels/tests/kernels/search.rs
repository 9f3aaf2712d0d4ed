//! The search for a case that a cell gets wrong; also compiled for bare chips.

use crate::cases::{Case, Setup};
use mote_kernels::{Isa, Kernels};
use proptest::prelude::ProptestConfig;
use proptest::test_runner::{RngAlgorithm, TestError, TestRng, TestRunner};

/// Cases of a family and an instruction set, as many again of sane ones; `KERNELS_CASES` says
/// otherwise when this is compiled, for emulators.
fn cases() -> u32 {
    option_env!("KERNELS_CASES").and_then(|cases| cases.parse().ok()).unwrap_or(400)
}

/// Generates cases, `sane` ones, for which cells take shortcuts, or as bad as can be, until `wrong`
/// finds fault with one; gives the smallest.
pub(crate) fn search<C: Case>(
    sane: bool,
    wrong: impl Fn(&C) -> Option<Setup>,
) -> Option<(C, Setup)> {
    let config = ProptestConfig { cases: cases(), failure_persistence: None, ..Default::default() };
    let result = TestRunner::new_with_rng(config, rng()).run(&C::strategy(sane), |case| {
        let found = wrong(&case);
        proptest::prop_assert!(found.is_none());
        Ok(())
    });
    match result {
        Ok(()) => None,
        Err(TestError::Fail(_, case)) => wrong(&case).map(|setup| (case, setup)),
        Err(TestError::Abort(reason)) => panic!("no cases: {reason}"),
    }
}

/// The same cases on every run.
pub(crate) fn rng() -> TestRng {
    TestRng::deterministic_rng(RngAlgorithm::ChaCha)
}

/// The first setup in which `kernels` does not give the scalar result, or does not keep the bound of
/// sums in halves where it has one.
pub(crate) fn differs<C: Case>(kernels: &Kernels, case: &C) -> Option<Setup> {
    if let (false, Some(case)) = (kernels.isa().is_exact(), case.in_halves()) {
        let planned = case.output(kernels, Setup::planned(kernels.isa()));
        return Setup::all(kernels.isa()).into_iter().find(|&setup| {
            let output = case.output(kernels, setup);
            // However the outputs are parted, as long as there is scratch for the same cell.
            let same = setup.layout.is_none() && setup.scratch_percent >= 100;
            case.keeps_bound(&output).is_err() || same && output != planned
        });
    }
    let expected = case.output(&Kernels::SCALAR, Setup::planned(Isa::Scalar));
    let setups = Setup::all(kernels.isa());
    setups.into_iter().find(|&setup| case.output(kernels, setup) != expected)
}
