//! Elapsed time in core clock ticks, from SysTick: every Cortex-M has one.
//!
//! Under QEMU with `-icount shift=0` every instruction takes one nanosecond of virtual time, so
//! ticks are executed instructions, in steps of `1 GHz / clock`. On hardware ticks are cycles.

use core::arch::asm;
use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::peripheral::{SYST, syst::SystClkSource};
use cortex_m_rt::exception;

use crate::number;

/// A free-running counter: SysTick's 24 bits, extended by counting its wraps.
pub struct Counter {
    syst: SYST,
}

impl core::fmt::Debug for Counter {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Counter")
    }
}

impl Counter {
    /// Starts counting from zero.
    #[must_use]
    pub fn start(mut syst: SYST) -> Self {
        syst.disable_counter();
        syst.set_clock_source(SystClkSource::Core);
        syst.set_reload(TOP);
        syst.clear_current();
        WRAPS.store(0, Ordering::Relaxed);
        syst.enable_interrupt();
        syst.enable_counter();
        Self { syst }
    }

    /// Ticks since the start.
    #[must_use]
    pub fn ticks(&self) -> u64 {
        let _ = &self.syst;
        loop {
            let wraps = WRAPS.load(Ordering::Relaxed);
            let current = SYST::get_current();
            // A wrap between the two reads would pair the old high half with the new low half.
            if WRAPS.load(Ordering::Relaxed) == wraps {
                return u64::from(wraps) * (u64::from(TOP) + 1) + u64::from(TOP - current);
            }
        }
    }

    /// Ticks that `work` takes, and what it returns.
    pub fn measure<T>(&self, work: impl FnOnce() -> T) -> (u64, T) {
        let before = self.ticks();
        // Nothing happens here on a processor; a counting plugin of QEMU knows both.
        // SAFETY: hints without a meaning are executed as `NOP`.
        unsafe { asm!(".inst.n 0xbfe0", options(nostack, preserves_flags)) };
        let result = work();
        // SAFETY: as above.
        unsafe { asm!(".inst.n 0xbff0", options(nostack, preserves_flags)) };
        (self.ticks() - before, result)
    }
}

/// Executed instructions for `ticks` of the emulated clock, see the module's text.
#[must_use]
pub const fn instructions(ticks: u64) -> u64 {
    ticks * 1_000_000_000 / CLOCK_HZ as u64
}

/// The board's clock.
pub const CLOCK_HZ: u32 = number(env!("MOTE_CLOCK_HZ"));

const TOP: u32 = 0x00ff_ffff;

// Written by the handler only; a plain load and store is all that a Cortex-M0 has.
static WRAPS: AtomicU32 = AtomicU32::new(0);

#[exception]
fn SysTick() {
    WRAPS.store(WRAPS.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}
