//! Ends the run with a code that the emulator hands to its caller.

/// The run did what it was asked to do.
pub fn success() -> ! {
    semihosting::process::exit(0)
}

/// It did not; the log says why.
pub fn failure() -> ! {
    semihosting::process::exit(1)
}
