//! Networks on the emulated boards: the same bits as TensorFlow Lite Micro and as this machine, and
//! no more instructions and memory than the board's `budgets.json` allows.
//!
//! They need QEMU and a cross compiler, so they run only when asked: `cargo xtask test` does, or
//! `cargo test -p mote-convert --test flash -- --ignored`.

use std::path::Path;

use mote_convert::blob::{Blob, Runner};
use mote_convert::emit::{Metadata, emit};
use mote_convert::flash::{self, FlashReport};
use mote_convert::graph::{Graph, Pooling};
use mote_convert::lower::lower;
use mote_convert::networks::{Network, Options, Top};
use mote_convert::npy::Array;
use mote_convert::quantize::{Calibration, halve, quantize};
use mote_convert::target::Target;
use mote_convert::testing::shared;
use mote_convert::{import, interpret, passes};
use mote_engine::{Isa, Numerics};

use budgets::{Budget, exceeded, hold};

#[path = "common/budgets.rs"]
#[allow(unreachable_pub, reason = "shared by several tests")]
mod budgets;
#[path = "common/networks.rs"]
#[allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "shared by several tests")]
mod networks;

/// A board, and the machine its blobs are packed for.
#[derive(Clone, Copy)]
struct Board {
    name: &'static str,
    target: &'static str,
}

const M0: Board = Board { name: "microbit", target: "cortex-m0plus" };
const M3: Board = Board { name: "mps2-an385", target: "cortex-m3" };
const M7: Board = Board { name: "mps2-an500", target: "cortex-m7" };
const M33: Board = Board { name: "mps2-an505", target: "cortex-m33" };
const M4: Board = Board { name: "mps2-an386", target: "cortex-m4" };
const M55: Board = Board { name: "mps3-an547", target: "cortex-m55" };

/// What a network costs on a board. More is a failure.
#[derive(Clone, Copy, Debug, serde::Deserialize, serde::Serialize)]
struct Cost {
    /// Of an inference; half a percent more is tolerated.
    instructions: u64,
    /// Engine, runtime and the kernels that the blob uses, without the blob; one percent more.
    engine_bytes: u32,
    /// Activations and scratch.
    arena_bytes: u32,
    /// From opening the blob to the last layer.
    stack_bytes: u32,
}

impl Budget for Cost {
    fn amounts(&self) -> Vec<(&'static str, u64, u64)> {
        vec![
            ("instructions", self.instructions, 5),
            ("engine_bytes", self.engine_bytes.into(), 10),
            ("arena_bytes", self.arena_bytes.into(), 0),
            ("stack_bytes", self.stack_bytes.into(), 0),
        ]
    }
}

impl Cost {
    fn of(report: &FlashReport) -> Self {
        Self {
            instructions: report.instructions,
            engine_bytes: report.engine_bytes,
            arena_bytes: report.arena_bytes,
            stack_bytes: report.stack_bytes,
        }
    }
}

#[test]
fn a_budget_tolerates_little() {
    let budget =
        Cost { instructions: 1000, engine_bytes: 1000, arena_bytes: 1000, stack_bytes: 1000 };
    assert_eq!(exceeded(&budget, &budget), None);
    let close = Cost { instructions: 1005, engine_bytes: 1010, ..budget };
    assert_eq!(exceeded(&budget, &close), None);
    for (what, found) in [
        ("instructions", Cost { instructions: 1006, ..budget }),
        ("engine_bytes", Cost { engine_bytes: 1011, ..budget }),
        ("arena_bytes", Cost { arena_bytes: 1001, ..budget }),
        ("stack_bytes", Cost { stack_bytes: 1001, ..budget }),
    ] {
        assert_eq!(exceeded(&budget, &found), Some(what));
    }
}

fn convert(board: Board, path: &Path, numerics: Numerics) -> Blob {
    let graph = passes::standard(import::open(path).expect("a model")).expect("passes");
    let network = quantize(&graph, None).expect("a quantized model");
    let target = Target::from_name(board.target).expect("a target");
    let program = lower(&network, target, numerics).expect("lowers");
    Blob::new(emit(&program, &Metadata::default()).expect("emits")).expect("parses")
}

fn run(board: Board, name: &str, blob: &Blob, inputs: &[Vec<i8>]) -> FlashReport {
    let report = run_freely(board, name, blob, inputs);
    hold(board.name, name, &Cost::of(&report));
    report
}

/// Without a budget.
fn run_freely(board: Board, name: &str, blob: &Blob, inputs: &[Vec<i8>]) -> FlashReport {
    let tensors: Vec<&[i8]> = inputs.iter().map(Vec::as_slice).collect();
    let place = flash::board(board.name).expect("a board");
    let report = flash::flash(blob.bytes(), place, &tensors, &flash::Options::default())
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    println!(
        "{name} on {}: {} instructions, flash {} of which engine {}, arena {}, stack {}, bss {}",
        board.name,
        report.instructions,
        report.flash_bytes,
        report.engine_bytes,
        report.arena_bytes,
        report.stack_bytes,
        report.bss_bytes,
    );
    compare(name, blob, inputs, &report);
    report
}

fn check(board: Board, name: &str, model: &str, golden: &str) {
    let (Some(model), Some(golden)) = (shared(model), shared(golden)) else { return };
    let input = Array::read(golden.join("input.npy")).expect("inputs");
    for numerics in [Numerics::Tflite, Numerics::Fp32] {
        let name = format!("{name}, {}", numerics.name());
        let blob = convert(board, &model, numerics);
        let inputs = blob.inputs(&input).expect("fit");
        let report = run(board, &name, &blob, &inputs);
        if numerics == Numerics::Tflite {
            let expected = Array::read(golden.join("tflm.npy")).expect("outputs").values().to_f32();
            let found: Vec<f32> = blob.outputs(&report.outputs).values().to_f32();
            assert_eq!(found, expected, "{name}: chip and TensorFlow Lite Micro differ");
        }
    }
}

/// What was packed for no machine takes scalar code, which is linked for it alone.
#[test]
#[ignore = "needs QEMU and a cross compiler"]
fn a_blob_for_another_machine_runs_as_well() {
    let Some(model) = shared("models/mlperf_tiny/kws_ref_model.tflite") else { return };
    for board in [M4, M55] {
        let blob = convert(Board { target: "scalar", ..board }, &model, Numerics::Tflite);
        let own = convert(board, &model, Numerics::Tflite);
        let inputs = [noise(1, blob.model().input().len()).collect()];
        let report = run_freely(board, "kws for any machine", &blob, &inputs);
        let own = run_freely(board, "kws", &own, &inputs);
        assert_eq!(report.outputs, own.outputs);
        assert!(report.engine_bytes > own.engine_bytes, "the scalar code is not linked twice");
    }
}

/// The host's kernels and the scalar ones give the chip's bits.
fn compare(name: &str, blob: &Blob, inputs: &[Vec<i8>], report: &FlashReport) {
    for isa in [Isa::best(), Isa::Scalar] {
        let mut host = Runner::new(blob, isa).expect("a session");
        let on_host: Vec<Vec<i8>> = inputs.iter().map(|input| host.run(input)).collect();
        assert_eq!(report.outputs, on_host, "{name}: chip and host with {isa:?} differ");
    }
}

/// A network in floats under both contracts; what it calibrates on does not matter for the bits.
fn check_floats(board: Board, name: &str, graph: &Graph) {
    let graph = passes::standard(graph.clone()).expect("passes");
    let len = graph.input_shape().elements();
    let mut calibration = Calibration::new(&graph);
    for seed in 1..4 {
        let picture: Vec<f32> = noise(seed, len).map(|value| f32::from(value) / 128.0).collect();
        interpret::run(&graph, &picture, |id, values| {
            calibration.observe(&graph, id, values).expect("finite values");
        })
        .expect("the input's length");
    }
    let ranges = calibration.finish().expect("samples");
    let network = quantize(&graph, Some(&ranges)).expect("quantizes");
    let target = Target::from_name(board.target).expect("a target");
    for numerics in [Numerics::Fp32, Numerics::Tflite] {
        let program = lower(&network, target, numerics).expect("lowers");
        let blob = Blob::new(emit(&program, &Metadata::default()).expect("emits")).expect("parses");
        let inputs: Vec<Vec<i8>> = (4..8).map(|seed| noise(seed, len).collect()).collect();
        let report = run(board, &format!("{name}, {}", numerics.name()), &blob, &inputs);
        let differs = report.outputs.windows(2).any(|pair| pair[0] != pair[1]);
        assert!(differs, "{name} says the same of every input: this shows little");
    }
}

/// Reproducible bytes (xorshift).
fn noise(seed: u32, len: usize) -> impl Iterator<Item = i8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9);
    core::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0].cast_signed()
    })
    .take(len)
}

fn committed(board: Board) {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/cifar10_mobilenet/model.h5");
    check_floats(board, "cifar10_mobilenet", &import::open(&model).expect("a model"));
}

/// The committed network in half precision.
fn halves(board: Board) {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/cifar10_mobilenet/model.h5");
    let graph = passes::standard(import::open(&model).expect("a model")).expect("passes");
    let target = Target::from_name(board.target).expect("a target");
    let network = halve(&graph).expect("halves");
    let program = lower(&network, target, Numerics::Fp32).expect("lowers");
    let blob = Blob::new(emit(&program, &Metadata::default()).expect("emits")).expect("parses");
    let picture = |seed| noise(seed, blob.input().len()).map(|value| f32::from(value) / 128.0);
    let inputs: Vec<Vec<i8>> =
        (4..6).map(|seed| blob.quantize_input(&picture(seed).collect::<Vec<_>>())).collect();
    let report = run(board, "cifar10_mobilenet, f16", &blob, &inputs);
    assert_ne!(report.outputs[0], report.outputs[1], "the same of every input shows little");
}

fn everything(board: Board) {
    check_floats(board, "every operation", &networks::everything());
}

/// What fits 16 KiB of RAM.
fn small(board: Board) {
    let network = Network::MobilenetV1 { alpha: 0.125 };
    // Without a classifier, which says the same of everything as long as nobody has trained it.
    let top = Top::Features(Pooling::Avg);
    let options = Options { height: 48, width: 48, top, ..network.options() };
    check_floats(board, "MobileNetV1 0.125 48", &network.build(&options).expect("builds"));
}

fn vww(board: Board) {
    check(board, "vww_96", "models/mlperf_tiny/vww_96_int8.tflite", "golden/vww_96_int8");
}

fn resnet8(board: Board) {
    let model = "models/mlperf_tiny/pretrainedResnet_quant.tflite";
    check(board, "ResNet-8", model, "golden/resnet8_int8");
}

fn kws(board: Board) {
    check(board, "kws", "models/mlperf_tiny/kws_ref_model.tflite", "golden/kws_int8");
}

macro_rules! networks {
    ($($chip:ident $board:ident: $($network:ident)*,)*) => {
        $(
            mod $chip {
                $(
                    #[test]
                    #[ignore = "needs QEMU and a cross compiler"]
                    fn $network() {
                        super::$network(super::$board);
                    }
                )*
            }
        )*
    };
}

// Where the kernels are another board's, one network shows that they run there too.
networks! {
    cortex_m0 M0: everything small,
    cortex_m3 M3: committed vww resnet8 kws,
    cortex_m4 M4: committed vww resnet8 kws halves,
    cortex_m7 M7: vww,
    cortex_m33 M33: kws,
    cortex_m55 M55: committed vww resnet8 kws halves,
}
