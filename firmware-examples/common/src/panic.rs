//! Faults end the run at once and say where they happened.

use cortex_m_rt::{ExceptionFrame, exception};

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    if let Some(place) = info.location() {
        defmt::error!("panic at {=str}:{=u32}", place.file(), place.line());
    } else {
        defmt::error!("panic");
    }
    stop()
}

// SAFETY: reached by a fault only; it logs and never returns.
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    defmt::error!("hard fault at {=u32:#010x}", frame.pc());
    stop()
}

/// Ends the run: the emulator's, or the debugger's, who sees where.
pub(crate) fn stop() -> ! {
    #[cfg(feature = "semihosting")]
    crate::exit::failure();
    #[cfg(not(feature = "semihosting"))]
    cortex_m::asm::udf()
}
