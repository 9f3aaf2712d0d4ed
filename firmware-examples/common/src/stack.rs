//! How deep the stack went: paint the free part, run, look where the paint ends.

/// Paints everything between the end of the statics and the present stack pointer.
///
/// Call it from `main`, before the work to be measured. Interrupts that run meanwhile are counted
/// like everything else.
#[inline(never)]
pub fn paint() {
    let bottom = bottom();
    // Leaves the frame of this very function alone.
    let words = (stack_pointer().saturating_sub(bottom.addr()) / 4).saturating_sub(MARGIN_WORDS);
    for index in 0..words {
        // SAFETY: between the end of .bss and the stack pointer there is only unused RAM.
        unsafe { bottom.wrapping_add(index).write_volatile(PAINT) };
    }
}

/// Bytes between the top of the stack and the deepest word written since [`paint`].
#[must_use]
#[inline(never)]
pub fn high_water_bytes() -> u32 {
    let bottom = bottom();
    let top = top();
    let words = top.saturating_sub(bottom.addr()) / 4;
    let mut clean = 0;
    while clean < words {
        // SAFETY: inside the same RAM as in `paint`; reading live stack words is harmless.
        let word = unsafe { bottom.wrapping_add(clean).read_volatile() };
        if word != PAINT {
            break;
        }
        clean += 1;
    }
    u32::try_from((words - clean) * 4).unwrap_or(u32::MAX)
}

const PAINT: u32 = 0xc0de_57ac;
const MARGIN_WORDS: usize = 32;

fn stack_pointer() -> usize {
    cortex_m::register::msp::read() as usize
}

// Only the addresses of the linker's symbols matter; they hold no value of their own.
fn bottom() -> *mut u32 {
    &raw mut _stack_end
}

fn top() -> usize {
    (&raw const _stack_start).addr()
}

// SAFETY: both are defined by cortex-m-rt's link.x.
unsafe extern "C" {
    static mut _stack_end: u32;
    static _stack_start: u32;
}
