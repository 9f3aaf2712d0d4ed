//! The specification.

use super::Args;

/// Runs on every machine.
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    // -128 is the first entry: flip the sign bit and the order of int8 is that of the table.
    let entry = |value: i8| op.table[usize::from(value.cast_unsigned() ^ 0x80)];
    match op.input {
        Some(input) => {
            for (output, &value) in op.output.iter_mut().zip(input) {
                *output = entry(value);
            }
        }
        None => {
            for value in op.output.iter_mut() {
                *value = entry(*value);
            }
        }
    }
}
