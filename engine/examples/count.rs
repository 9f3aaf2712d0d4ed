//! Runs a blob once, then once more layer by layer, with markers around each for the instruction
//! counter of `cargo xtask count`; prints kernels and layers.
//!
//! `count BLOB [ISA]`, with the fastest kernels unless others are named. The input is noise: no kernel's
//! instructions depend on its values, except that those which add in halves compute a sum beyond them
//! again.

use core::error::Error;
use std::{env, fs};

use mote_engine::format::{ALIGNMENT, Block};
use mote_engine::{ElementType, Isa, Kernels, Model, Observer, Op, OpKind, Session};

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("give the path of a blob")?;
    let file = fs::read(&path).map_err(|error| format!("cannot read {path}: {error}"))?;
    let mut blob = vec![Block::default(); file.len().div_ceil(ALIGNMENT)];
    let blob: &mut [u8] = bytemuck::cast_slice_mut(&mut blob);
    blob[..file.len()].copy_from_slice(&file);
    let model = Model::parse(&blob[..file.len()])?;

    let kernels = match env::args().nth(2) {
        None => Kernels::best(),
        Some(name) => Isa::from_name(&name)
            .and_then(Kernels::for_isa)
            .ok_or_else(|| format!("this processor has no `{name}`"))?,
    };
    println!("isa {}", kernels.isa().name());
    let mut arena = vec![Block::default(); model.arena_bytes().div_ceil(ALIGNMENT)];
    let mut session = Session::new(model, kernels, bytemuck::cast_slice_mut(&mut arena))?;
    let element = model.input().element;
    fill(element, session.input_mut());
    start_total();
    session.run();
    stop_total();
    let output = session.output().to_vec();
    fill(element, session.input_mut());
    let again = session.run_observed(&mut Layers { model });
    assert_eq!(again, output, "two runs differ");
    Ok(())
}

/// Any bytes, or halves between 0.5 and 1.
fn fill(element: ElementType, input: &mut [i8]) {
    let mut state = 1_u32;
    for (index, value) in input.iter_mut().enumerate() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *value = match element {
            ElementType::F16 if index % 2 == 1 => 0x38 | state.to_le_bytes()[3].cast_signed() & 3,
            _ => state.to_le_bytes()[3].cast_signed(),
        };
    }
}

struct Layers<'m> {
    model: Model<'m>,
}

impl Observer for Layers<'_> {
    fn before(&mut self, index: usize, op: &Op<'_>) {
        let kind = self.model.kind(index).map_or("", OpKind::name);
        println!("layer {index} {kind} {}", op.macs());
        start_layer();
    }

    fn after(&mut self, _index: usize, _op: &Op<'_>, _output: &[i8]) {
        stop_layer();
    }
}

macro_rules! markers {
    ($($name:ident $hint:literal)*) => {
        $(
            #[inline(always)]
            #[allow(unsafe_code, reason = "a hint that does nothing")]
            fn $name() {
                #[cfg(target_arch = "aarch64")]
                // SAFETY: hints of these numbers do nothing.
                unsafe {
                    core::arch::asm!($hint, options(nostack, preserves_flags));
                }
            }
        )*
    };
}

markers! {
    start_total "hint #96"
    stop_total "hint #112"
    start_layer "hint #97"
    stop_layer "hint #113"
}
