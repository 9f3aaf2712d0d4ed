//! Where every tensor lies in the arena, and when.
//!
//! Lifetimes are packed at the best offsets found; element-wise operations work in place where
//! their input is not needed again, and depthwise convolutions where that lowers the peak.

use core::ops::Range;

/// Every window starts on this boundary, as the blob demands.
const ALIGNMENT: usize = mote_engine::format::ALIGNMENT;

/// Memory that is needed during some operations, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// First operation that needs it.
    pub first: usize,
    /// Last operation that needs it.
    pub last: usize,
    /// How much.
    pub bytes: usize,
}

impl Block {
    fn meets(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    fn padded(&self) -> usize {
        self.bytes.next_multiple_of(ALIGNMENT)
    }
}

/// Offsets of blocks, and the arena they need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packing {
    /// One a block.
    pub offsets: Vec<usize>,
    /// End of the highest block.
    pub arena_bytes: usize,
}

/// Bytes that are needed while operation `op` runs.
#[must_use]
pub fn live_bytes(blocks: &[Block], op: usize) -> usize {
    blocks.iter().filter(|b| b.first <= op && op <= b.last).map(Block::padded).sum()
}

/// The most that any operation needs: no packing can be smaller.
#[must_use]
pub fn lower_bound(blocks: &[Block]) -> usize {
    blocks.iter().map(|b| live_bytes(blocks, b.first)).max().unwrap_or(0)
}

/// Packs blocks that overlap in time apart in space. Tries the usual orders first, then improves
/// the best one by swaps until it meets the lower bound or a fixed number of trials is used up;
/// the same blocks always give the same packing.
#[must_use]
pub fn pack(blocks: &[Block]) -> Packing {
    const TRIALS: usize = 4000;
    let bound = lower_bound(blocks);
    type Key = fn(&Block) -> (usize, usize);
    let orders: [Key; 3] = [
        |b| (b.padded(), b.last - b.first),
        |b| (b.last - b.first, b.padded()),
        |b| (b.padded() * (b.last - b.first + 1), b.padded()),
    ];
    let mut best: Option<(Packing, Vec<usize>)> = None;
    for key in orders {
        let mut order: Vec<usize> = (0..blocks.len()).collect();
        order.sort_by_key(|&index| core::cmp::Reverse(key(&blocks[index])));
        let packing = place(blocks, &order);
        if best.as_ref().is_none_or(|(b, _)| packing.arena_bytes < b.arena_bytes) {
            best = Some((packing, order));
        }
    }
    let Some((mut packing, mut order)) = best else {
        return Packing { offsets: Vec::new(), arena_bytes: 0 };
    };
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for _ in 0..TRIALS {
        if packing.arena_bytes <= bound || blocks.len() < 2 {
            break;
        }
        let (a, b) = (random.below(order.len()), random.below(order.len()));
        order.swap(a, b);
        let trial = place(blocks, &order);
        if trial.arena_bytes <= packing.arena_bytes {
            packing = trial;
        } else {
            order.swap(a, b);
        }
    }
    packing
}

/// Gives each block, in `order`, the smallest gap that fits between those already placed.
fn place(blocks: &[Block], order: &[usize]) -> Packing {
    let mut offsets = vec![0; blocks.len()];
    let mut placed: Vec<usize> = Vec::with_capacity(order.len());
    let mut arena_bytes = 0;
    for &index in order {
        let block = &blocks[index];
        let mut taken: Vec<Range<usize>> = placed
            .iter()
            .filter(|&&other| blocks[other].meets(block))
            .map(|&other| offsets[other]..offsets[other] + blocks[other].padded())
            .collect();
        taken.sort_by_key(|range| range.start);
        let (mut best, mut best_gap, mut end) = (None, usize::MAX, 0);
        for range in &taken {
            let gap = range.start.saturating_sub(end);
            if gap >= block.padded() && gap < best_gap {
                (best, best_gap) = (Some(end), gap);
            }
            end = end.max(range.end);
        }
        offsets[index] = best.unwrap_or(end);
        arena_bytes = arena_bytes.max(offsets[index] + block.padded());
        placed.push(index);
    }
    Packing { offsets, arena_bytes }
}

/// xorshift64*: enough to shuffle an order the same way everywhere.
struct Random(u64);

impl Random {
    #[allow(clippy::cast_possible_truncation, reason = "a remainder below a usize")]
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16) as usize % end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(blocks: &[Block]) -> Packing {
        let packing = pack(blocks);
        for (i, a) in blocks.iter().enumerate() {
            assert_eq!(packing.offsets[i] % ALIGNMENT, 0);
            assert!(packing.offsets[i] + a.bytes <= packing.arena_bytes);
            for (j, b) in blocks.iter().enumerate().take(i) {
                let (x, y) = (packing.offsets[i], packing.offsets[j]);
                let apart = x + a.bytes <= y || y + b.bytes <= x;
                assert!(!a.meets(b) || apart, "{a:?} at {x} and {b:?} at {y}");
            }
        }
        assert!(packing.arena_bytes >= lower_bound(blocks));
        packing
    }

    #[test]
    fn a_chain_meets_its_bound() {
        let sizes = [27_648, 18_432, 18_432, 36_864, 9216, 18_432, 18_432, 4608, 256];
        let blocks: Vec<Block> = (sizes.iter().enumerate())
            .map(|(i, &bytes)| Block { first: i.saturating_sub(1), last: i, bytes })
            .collect();
        assert_eq!(check(&blocks).arena_bytes, 18_432 + 36_864);
    }

    #[test]
    fn random_lifetimes_never_overlap() {
        let mut random = Random(7);
        for _ in 0..50 {
            let blocks: Vec<Block> = (0..30)
                .map(|_| {
                    let first = random.below(20);
                    let last = first + random.below(5);
                    Block { first, last, bytes: 1 + random.below(5000) }
                })
                .collect();
            check(&blocks);
        }
    }

    #[test]
    fn nothing_needs_nothing() {
        assert_eq!(check(&[]).arena_bytes, 0);
    }
}
