//! RAM that behaves like NOR flash: erasing sets the bits of a sector, writing only clears bits.

use core::{ops::Range, slice};

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

const BYTES: usize = 2 * 1024 * 1024;

#[repr(C, align(4096))]
struct Cells([u8; BYTES]);

static mut CELLS: Cells = Cells([0; BYTES]);

/// The only one who writes the cells.
pub struct Nor(());

impl Nor {
    /// The whole flash. To be called once.
    pub fn new() -> Self {
        Self(())
    }

    /// Where the processor sees `place`. Inside the flash: what `Slots` gives is.
    pub fn view(place: Range<u32>) -> &'static [u8] {
        let (start, end) = ((place.start as usize).min(BYTES), (place.end as usize).min(BYTES));
        let first = cells().wrapping_add(start);
        // SAFETY: inside the static; the slot that is viewed is not the one that is written.
        unsafe { slice::from_raw_parts(first, end.saturating_sub(start)) }
    }
}

fn cells() -> *mut u8 {
    (&raw mut CELLS).cast()
}

impl ErrorType for Nor {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Nor {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        for (byte, index) in bytes.iter_mut().zip(offset as usize..) {
            // SAFETY: `check_read` keeps it inside the static.
            *byte = unsafe { cells().wrapping_add(index).read_volatile() };
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        BYTES
    }
}

impl NorFlash for Nor {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        for index in from as usize..to as usize {
            // SAFETY: `check_erase` keeps it inside the static.
            unsafe { cells().wrapping_add(index).write_volatile(0xff) };
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        for (&byte, index) in bytes.iter().zip(offset as usize..) {
            let cell = cells().wrapping_add(index);
            // SAFETY: `check_write` keeps it inside the static.
            let before = unsafe { cell.read_volatile() };
            // SAFETY: as above.
            unsafe { cell.write_volatile(before & byte) };
        }
        Ok(())
    }
}
