//! Damaged blobs: the engine refuses each with a typed error, or runs it to the same bits on
//! every instruction set. Never a panic, never a hang.
//!
//! Each case follows from its number alone. `MOTE_FUZZ_RUNS=1000000` tries more of them,
//! `MOTE_FUZZ_CASE=1234` one of them again.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]
#![allow(clippy::cast_possible_truncation, reason = "random numbers are cut to size")]

#[path = "common/networks.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by several tests")]
mod networks;

use core::mem::offset_of;
use core::ops::Range;
use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::time::Instant;

use mote_convert::emit::AlignedBytes;
use mote_engine::format::{Header, Op, OpKind, Section, Tensor, checksum};
use mote_engine::{Isa, Kernels, Model, ParseError, Session};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

const RUNS: u64 = 20_000;
const MAX_ARENA_BYTES: usize = 1 << 20;
const MAX_STEPS: u64 = 10_000_000;
/// A whole case, on a busy machine.
const MAX_TIME: Duration = Duration::from_secs(20);

#[test]
fn damaged_blobs_are_refused_or_run() {
    let blobs = networks::blobs();
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let cases = match (number("MOTE_FUZZ_CASE"), number("MOTE_FUZZ_RUNS")) {
        (Some(case), _) => case..case + 1,
        (None, runs) => 0..runs.unwrap_or(RUNS),
    };
    let tally = cases
        .into_par_iter()
        .fold(Tally::default, |mut tally, case| {
            let started = Instant::now();
            let outcome = catch_unwind(AssertUnwindSafe(|| try_case(&blobs, case)));
            tally.slowest = tally.slowest.max((started.elapsed(), case));
            match outcome {
                Ok(outcome) => *tally.outcomes.entry(outcome).or_default() += 1,
                Err(_) => tally.panicked.push(case),
            }
            tally
        })
        .reduce(Tally::default, Tally::plus);
    for (outcome, count) in &tally.outcomes {
        println!("{count:9}  {outcome}");
    }
    println!("slowest: case {} in {:?}", tally.slowest.1, tally.slowest.0);
    let first = &tally.panicked[..tally.panicked.len().min(20)];
    assert!(
        first.is_empty(),
        "{} cases panicked; try MOTE_FUZZ_CASE= {first:?}",
        tally.panicked.len()
    );
    assert!(tally.slowest.0 < MAX_TIME, "case {} hangs", tally.slowest.1);
}

#[test]
fn every_operation_occurs_and_undamaged_blobs_run() {
    let mut families = 0;
    for blob in networks::blobs() {
        families |= Model::parse(&blob).unwrap().blob().families();
        assert_eq!(run(&blob, 1), "ran");
    }
    assert!(OpKind::ALL.iter().all(|kind| families >> kind.code() & 1 == 1), "{families:b}");
}

#[derive(Default)]
struct Tally {
    outcomes: BTreeMap<&'static str, u64>,
    panicked: Vec<u64>,
    slowest: (Duration, u64),
}

impl Tally {
    fn plus(mut self, other: Self) -> Self {
        for (outcome, count) in other.outcomes {
            *self.outcomes.entry(outcome).or_default() += count;
        }
        self.panicked.extend(other.panicked);
        self.panicked.sort_unstable();
        self.slowest = self.slowest.max(other.slowest);
        self
    }
}

fn try_case(blobs: &[AlignedBytes], case: u64) -> &'static str {
    let mut random = Random(case);
    let original = &blobs[random.below(blobs.len())];
    let mut bytes = original.to_vec();
    let places = Places::new(original);
    for _ in 0..1 + random.below(4) {
        mutate(&mut bytes, &places, blobs, &mut random);
    }
    if random.below(2) == 0 {
        if random.below(2) == 0 {
            set_families(&mut bytes, &places);
        }
        seal(&mut bytes);
    }
    run(&bytes, case)
}

/// Parses, and runs on every kind of kernels when it is small enough.
fn run(bytes: &[u8], seed: u64) -> &'static str {
    let bytes = AlignedBytes::from(bytes);
    let model = match Model::parse(&bytes) {
        Ok(model) => model,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return name(error);
        }
    };
    if model.arena_bytes() > MAX_ARENA_BYTES || steps(&model) > MAX_STEPS {
        return "parsed, too large to run here";
    }
    let mut expected: Option<Vec<i8>> = None;
    for isa in [Isa::Scalar, Isa::best()] {
        let mut arena = AlignedBytes::zeroed(model.arena_bytes());
        let mut random = Random(seed);
        arena.as_i8_mut().fill_with(|| random.next() as i8);
        let kernels = Kernels::for_isa(isa).unwrap();
        let mut session = Session::new(model, kernels, arena.as_i8_mut()).unwrap();
        session.run();
        let _ = session.top_k::<3>();
        let output = session.output();
        assert_eq!(output.len(), model.output().bytes());
        match &expected {
            None => expected = Some(output.to_vec()),
            Some(expected) => assert_eq!(expected, output, "{} differs from scalar", isa.name()),
        }
    }
    "ran"
}

/// Multiply-accumulates, and taps of poolings.
fn steps(model: &Model<'_>) -> u64 {
    let taps = |index: usize| {
        let record = model.blob().ops()[index];
        let outputs = model.tensor(index + 1).unwrap().len() as u64;
        outputs * u64::from(record.kernel[0]).max(1) * u64::from(record.kernel[1]).max(1)
    };
    (0..model.op_count())
        .map(|index| model.op(index).unwrap().macs().max(taps(index)))
        .fold(0, u64::saturating_add)
}

fn name(error: ParseError) -> &'static str {
    match error {
        ParseError::Truncated { .. } => "refused: truncated",
        ParseError::Misaligned => "refused: misaligned",
        ParseError::Magic => "refused: magic",
        ParseError::Version { .. } => "refused: version",
        ParseError::Checksum { .. } => "refused: checksum",
        ParseError::Header { .. } => "refused: header",
        ParseError::Section { .. } => "refused: section",
        ParseError::Tensor { .. } => "refused: tensor",
        ParseError::Op { .. } => "refused: operation",
        ParseError::Metadata { .. } => "refused: metadata",
        _ => "refused: another error",
    }
}

/// Where the parts of the undamaged blob lie.
struct Places {
    tensors: Range<usize>,
    ops: Range<usize>,
    parameters: Range<usize>,
}

impl Places {
    fn new(bytes: &[u8]) -> Self {
        let header: &Header = bytemuck::from_bytes(&bytes[..size_of::<Header>()]);
        let range = |section: Section| {
            section.offset as usize..section.offset as usize + section.bytes as usize
        };
        Self {
            tensors: range(header.tensors),
            ops: range(header.ops),
            parameters: range(header.parameters),
        }
    }

    /// Mostly in the records, sometimes anywhere.
    fn pick(&self, len: usize, random: &mut Random) -> usize {
        let range = match random.below(8) {
            0 => 0..size_of::<Header>(),
            1 | 2 => self.tensors.clone(),
            3..=5 => self.ops.clone(),
            6 => self.parameters.clone(),
            _ => 0..len,
        };
        let place = range.start + random.below(range.len().max(1));
        place.min(len.saturating_sub(1))
    }
}

fn mutate(bytes: &mut Vec<u8>, places: &Places, blobs: &[AlignedBytes], random: &mut Random) {
    if bytes.is_empty() {
        return;
    }
    let place = places.pick(bytes.len(), random);
    match random.below(12) {
        0 | 1 => bytes[place] ^= 1 << random.below(8),
        2 | 3 => bytes[place] = random.next() as u8,
        4 => {
            bytes.truncate(random.below(bytes.len()));
            if random.below(2) == 0 {
                let len = bytes.len() as u32;
                write(bytes, offset_of!(Header, total_bytes), len);
            }
        }
        5 => {
            // A piece of another blob, or of this one, over this one.
            let other = &blobs[random.below(blobs.len())];
            let from = random.below(other.len());
            let len = random.below(128).min(other.len() - from).min(bytes.len() - place);
            bytes[place..place + len].copy_from_slice(&other[from..from + len]);
        }
        6 => {
            // One record over another.
            let (range, record) = if random.below(2) == 0 {
                (&places.tensors, size_of::<Tensor>())
            } else {
                (&places.ops, size_of::<Op>())
            };
            let count = range.len() / record;
            let mut at = || range.start + record * random.below(count);
            let (from, to) = (at(), at());
            if from.max(to) + record <= bytes.len() {
                bytes.copy_within(from..from + record, to);
            }
        }
        7 => {
            let start = offset_of!(Header, arena_bytes);
            let old = read(bytes, start);
            let value = extreme(old, random);
            write(bytes, start, value);
        }
        8 => {
            let value = [0, 1, 2, 0x7FFF, 0x8000, 0xFFFF][random.below(6)];
            let place = place & !1;
            if let Some(field) = bytes.get_mut(place..place + 2) {
                field.copy_from_slice(&u16::to_le_bytes(value));
            }
        }
        _ => {
            let value = extreme(read(bytes, place & !3), random);
            write(bytes, place & !3, value);
        }
    }
}

/// A value at the edge of something, or near the old one.
fn extreme(old: u32, random: &mut Random) -> u32 {
    match random.below(16) {
        0 => 0,
        1 => 1,
        2 => 16,
        3 => u32::MAX,
        4 => u32::MAX - 15,
        5 => 1 << 31,
        6 => (1 << 31) - 1,
        7 => 1 << 16,
        8 => old.wrapping_add(1),
        9 => old.wrapping_sub(1),
        10 => old.wrapping_add(16),
        11 => old.wrapping_sub(16),
        12 => old.wrapping_mul(2),
        13 => f32::INFINITY.to_bits(),
        14 => random.below(300) as u32,
        _ => random.next() as u32,
    }
}

fn read(bytes: &[u8], place: usize) -> u32 {
    bytes.get(place..place + 4).map_or(0, |field| u32::from_le_bytes(field.try_into().unwrap()))
}

fn write(bytes: &mut [u8], place: usize, value: u32) {
    if let Some(field) = bytes.get_mut(place..place + 4) {
        field.copy_from_slice(&value.to_le_bytes());
    }
}

/// Makes the header tell the kinds that the records hold, where they should lie.
fn set_families(bytes: &mut [u8], places: &Places) {
    let Some(ops) = bytes.get(places.ops.clone()) else { return };
    let kinds = ops.chunks_exact(size_of::<Op>()).map(|op| u16::from_le_bytes([op[0], op[1]]));
    let families = kinds.fold(0, |bits, kind| bits | 1_u32.wrapping_shl(u32::from(kind)));
    write(bytes, offset_of!(Header, families), families);
}

/// Makes the checksum right.
fn seal(bytes: &mut [u8]) {
    let start = offset_of!(Header, checksum);
    let total = read(bytes, offset_of!(Header, total_bytes)) as usize;
    if let Some(body) = bytes.get(start + 4..total.min(bytes.len())) {
        let checksum = checksum(body);
        write(bytes, start, checksum);
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 16) as usize % end
    }
}
