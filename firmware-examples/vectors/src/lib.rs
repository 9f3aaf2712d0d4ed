//! The vector table behind the processor's own exceptions, for programs that turn no interrupt on.
//!
//! Without a device crate cortex-m-rt fills one to two KiB of flash with every interrupt that a
//! Cortex-M could have. It wants one entry at least, and none is ever taken here.
#![no_std]

#[cfg(words_anywhere)]
mod memory;

unsafe extern "C" {
    fn DefaultHandler();
}

/// A single interrupt.
// SAFETY: the section and the name are the ones in which cortex-m-rt's link.x looks for it.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
pub static __INTERRUPTS: [unsafe extern "C" fn(); 1] = [DefaultHandler];
