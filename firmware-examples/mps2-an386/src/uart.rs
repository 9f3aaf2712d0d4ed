//! Arm's CMSDK UART 0, polled; the emulator connects it to a terminal of the host.

use core::convert::Infallible;

use embedded_io::{ErrorType, Read, Write};

const DATA: *mut u32 = 0x4000_4000 as *mut u32;
const STATE: *mut u32 = 0x4000_4004 as *mut u32;
const CONTROL: *mut u32 = 0x4000_4008 as *mut u32;
const DIVISOR: *mut u32 = 0x4000_4010 as *mut u32;

const TRANSMIT_FULL: u32 = 1 << 0;
const RECEIVE_FULL: u32 = 1 << 1;
const BOTH_WAYS: u32 = 0b11;
/// 25 MHz / 115 200.
const BAUD: u32 = 217;

/// The only user of its registers.
pub struct Uart(());

impl Uart {
    /// Switches it on.
    pub fn new() -> Self {
        // SAFETY: a register of this board, which nobody else touches.
        unsafe { DIVISOR.write_volatile(BAUD) };
        // SAFETY: as above.
        unsafe { CONTROL.write_volatile(BOTH_WAYS) };
        Self(())
    }

    fn is(&self, flag: u32) -> bool {
        // SAFETY: as above; reading the state changes nothing.
        (unsafe { STATE.read_volatile() }) & flag != 0
    }
}

impl ErrorType for Uart {
    type Error = Infallible;
}

impl Read for Uart {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let Some(first) = buffer.first_mut() else { return Ok(0) };
        while !self.is(RECEIVE_FULL) {}
        // SAFETY: as above, and there is a byte.
        let [byte, ..] = unsafe { DATA.read_volatile() }.to_le_bytes();
        *first = byte;
        Ok(1)
    }
}

impl Write for Uart {
    fn write(&mut self, buffer: &[u8]) -> Result<usize, Infallible> {
        let Some(&byte) = buffer.first() else { return Ok(0) };
        while self.is(TRANSMIT_FULL) {}
        // SAFETY: as above, and there is room.
        unsafe { DATA.write_volatile(byte.into()) };
        Ok(1)
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        while self.is(TRANSMIT_FULL) {}
        Ok(())
    }
}
