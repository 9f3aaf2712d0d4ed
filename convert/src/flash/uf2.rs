//! UF2, the files that a boot loader takes as a USB drive: blocks of 512 bytes, 256 of them content.

use std::collections::BTreeMap;

use super::FlashError;

const PAGE: u32 = 256;
const MAGIC: [u32; 2] = [0x0a32_4655, 0x9e5d_5157];
const END: u32 = 0x0ab1_6f30;
const HAS_FAMILY: u32 = 0x2000;

/// Pieces of flash, each an address and its bytes, as a file for chips of `family`. Pages are written
/// whole; what no piece covers is zero.
pub(super) fn write(pieces: &[(u32, &[u8])], family: u32) -> Result<Vec<u8>, FlashError> {
    let mut pages: BTreeMap<u32, [u8; PAGE as usize]> = BTreeMap::new();
    for &(address, bytes) in pieces {
        let last = u32::try_from(bytes.len()).ok().and_then(|len| address.checked_add(len));
        last.ok_or_else(|| FlashError::BadImage("it lies outside the memory".to_owned()))?;
        for (at, &byte) in (address..).zip(bytes) {
            let page = pages.entry(at - at % PAGE).or_insert([0; PAGE as usize]);
            page[(at % PAGE) as usize] = byte;
        }
    }
    let count = u32::try_from(pages.len()).unwrap_or(u32::MAX);
    let mut file = Vec::with_capacity(pages.len() * 512);
    for (number, (address, page)) in (0..).zip(&pages) {
        let start = file.len();
        let head = [MAGIC[0], MAGIC[1], HAS_FAMILY, *address, PAGE, number, count, family];
        file.extend(head.iter().flat_map(|word| word.to_le_bytes()));
        file.extend_from_slice(page);
        file.resize(start + 508, 0);
        file.extend_from_slice(&END.to_le_bytes());
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(block: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(*block[at..].first_chunk().expect("four bytes"))
    }

    #[test]
    fn pieces_become_whole_pages() {
        // Two pieces share a page, a third crosses into the next, and a page between is left out.
        let long = [7; 300];
        let pieces = [(0x1000_0000, &[1, 2][..]), (0x1000_0010, &[3]), (0x1000_0280, &long)];
        let file = write(&pieces, 0xe48b_ff56).expect("in memory");
        let blocks: Vec<&[u8]> = file.chunks(512).collect();
        let addresses: Vec<u32> = blocks.iter().map(|block| word(block, 12)).collect();
        assert_eq!(addresses, [0x1000_0000, 0x1000_0200, 0x1000_0300]);
        for (number, block) in (0..).zip(&blocks) {
            assert_eq!(block.len(), 512);
            assert_eq!((block[..4].to_vec(), word(block, 508)), (b"UF2\n".to_vec(), END));
            assert_eq!((word(block, 16), word(block, 20), word(block, 24)), (256, number, 3));
            assert_eq!((word(block, 8), word(block, 28)), (HAS_FAMILY, 0xe48b_ff56));
        }
        assert_eq!(blocks[0][32..50], [1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0]);
        let sevens: Vec<usize> =
            blocks.iter().map(|b| b[32..288].iter().filter(|&&byte| byte == 7).count()).collect();
        assert_eq!(sevens, [0, 128, 172]);
    }

    #[test]
    fn nothing_lies_behind_the_memory() {
        assert!(write(&[(u32::MAX, &[1, 2])], 1).is_err());
    }
}
