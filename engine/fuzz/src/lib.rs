//! What the fuzz targets share.

use mote_engine::format::{Header, checksum};

/// `data` on a 16-byte boundary, with a checksum that is right, so that mutations get past it.
pub fn sealed(data: &[u8], then: impl FnOnce(&[u8])) {
    let mut words = vec![0_u128; data.len().div_ceil(16)];
    let bytes = &mut bytemuck::cast_slice_mut::<u128, u8>(&mut words)[..data.len()];
    bytes.copy_from_slice(data);
    if let Some((head, body)) = bytes.split_at_mut_checked(CHECKSUM + 4) {
        let total = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;
        let len = total.saturating_sub(CHECKSUM + 4).min(body.len());
        head[CHECKSUM..].copy_from_slice(&checksum(&body[..len]).to_le_bytes());
    }
    then(bytes);
}

const CHECKSUM: usize = core::mem::offset_of!(Header, checksum);
const _: () = assert!(core::mem::offset_of!(Header, total_bytes) == 8);
