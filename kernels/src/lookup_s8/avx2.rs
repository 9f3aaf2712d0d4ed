//! AVX2: 32 values at a time through sixteen shuffles, one for each sixteen entries.

use super::Args;
use crate::isa::x86_64::{load_16, load_32, store_32};
use core::arch::x86_64::*;

/// Same bits as scalar.
#[target_feature(enable = "avx2")]
pub(crate) fn run(args: &mut Args<'_>) {
    let op = &mut args.0;
    let tables = Tables::new(op.table);
    let entry = |value: i8| op.table[usize::from(value.cast_unsigned() ^ 0x80)];
    let (blocks, tail) = op.output.as_chunks_mut::<32>();
    match op.input {
        Some(input) => {
            let (input, rest) = input.as_chunks::<32>();
            for (output, input) in blocks.iter_mut().zip(input) {
                store_32(output, tables.look_up(load_32(input)));
            }
            for (output, &value) in tail.iter_mut().zip(rest) {
                *output = entry(value);
            }
        }
        None => {
            for block in blocks {
                store_32(block, tables.look_up(load_32(block)));
            }
            for value in tail {
                *value = entry(*value);
            }
        }
    }
}

/// The entries of -128 to -1 and of 0 to 127: in each half the first sixteen, then the xor of
/// every sixteen with the sixteen before.
struct Tables([[__m256i; 8]; 2]);

impl Tables {
    #[target_feature(enable = "avx2")]
    fn new(table: &[i8; 256]) -> Self {
        let mut tables = [[_mm256_setzero_si256(); 8]; 2];
        for (half, table) in tables.iter_mut().zip(table.as_chunks::<128>().0) {
            let mut before = _mm256_setzero_si256();
            for (to, entries) in half.iter_mut().zip(table.as_chunks::<16>().0) {
                let entries = _mm256_broadcastsi128_si256(load_16(entries));
                *to = _mm256_xor_si256(entries, before);
                before = entries;
            }
        }
        Self(tables)
    }

    /// A shuffle takes the low four bits for an index, but gives zero where the byte is negative.
    /// Counting down by 16 a shuffle, a byte is looked up in its own sixteen and all before,
    /// whose xor is its own entry alone.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn look_up(&self, values: __m256i) -> __m256i {
        let sixteen = _mm256_set1_epi8(16);
        let mut found = _mm256_setzero_si256();
        let flipped = _mm256_xor_si256(values, _mm256_set1_epi8(i8::MIN));
        for (half, mut left) in self.0.iter().zip([flipped, values]) {
            for table in half {
                found = _mm256_xor_si256(found, _mm256_shuffle_epi8(*table, left));
                left = _mm256_subs_epi8(left, sixteen);
            }
        }
        found
    }
}
