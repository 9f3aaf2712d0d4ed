//! Armv7E-M: four bytes at a time, compared by `SSUB8` and chosen by `SEL`.

use super::Args;
use crate::Clamp;
use crate::isa::armv7em::clamp_4;

/// Same bits as scalar.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    if let Some(input) = op.input {
        for (output, &value) in op.output.iter_mut().zip(input) {
            *output = value;
        }
    }
    in_place(op.output, op.clamp);
}

/// Clamps `values`.
pub(crate) fn in_place(values: &mut [i8], clamp: Clamp) {
    let min = u32::from_ne_bytes([clamp.min.cast_unsigned(); 4]);
    let max = u32::from_ne_bytes([clamp.max.cast_unsigned(); 4]);
    let (words, tail) = values.as_chunks_mut::<4>();
    for word in words {
        let four = u32::from_ne_bytes(word.map(i8::cast_unsigned));
        *word = clamp_4(four, min, max).to_ne_bytes().map(u8::cast_signed);
    }
    for value in tail {
        *value = clamp.apply(i32::from(*value));
    }
}
