//! AArch64: 16 values at a time through four table lookups, one for each 64 entries.

use super::Args;
use crate::isa::aarch64::{load_16, load_64, store_16};
use core::arch::aarch64::*;

/// Same bits as scalar.
#[target_feature(enable = "neon")]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let tables = Tables::new(op.table);
    let entry = |value: i8| op.table[usize::from(value.cast_unsigned() ^ 0x80)];
    let (blocks, tail) = op.output.as_chunks_mut::<16>();
    match op.input {
        Some(input) => {
            let (input, rest) = input.as_chunks::<16>();
            for (output, input) in blocks.iter_mut().zip(input) {
                store_16(output, tables.look_up(load_16(input)));
            }
            for (output, &value) in tail.iter_mut().zip(rest) {
                *output = entry(value);
            }
        }
        None => {
            for block in blocks {
                let values = load_16(block);
                store_16(block, tables.look_up(values));
            }
            for value in tail {
                *value = entry(*value);
            }
        }
    }
}

/// The entries from -128 on, 64 in each: all 16 registers of an instruction's four.
struct Tables([int8x16x4_t; 4]);

impl Tables {
    #[target_feature(enable = "neon")]
    fn new(table: &[i8; 256]) -> Self {
        let mut tables = [load_64(&[0; 64]); 4];
        for (to, entries) in tables.iter_mut().zip(table.as_chunks().0) {
            *to = load_64(entries);
        }
        Self(tables)
    }

    /// A lookup leaves alone what lies beyond its 64 entries: one for each quarter.
    #[inline]
    #[target_feature(enable = "neon")]
    fn look_up(&self, values: int8x16_t) -> int8x16_t {
        let index = veorq_u8(vreinterpretq_u8_s8(values), vdupq_n_u8(0x80));
        let quarter = vdupq_n_u8(64);
        let [first, rest @ ..] = self.0;
        let mut found = vqtbl4q_s8(first, index);
        let mut index = index;
        for table in rest {
            index = vsubq_u8(index, quarter);
            found = vqtbx4q_s8(found, table, index);
        }
        found
    }
}
