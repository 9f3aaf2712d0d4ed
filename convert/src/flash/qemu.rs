//! Runs an image in QEMU.

use core::time::Duration;
use std::{
    io::Read,
    path::Path,
    process::{Command, ExitStatus, Stdio},
    thread,
    time::Instant,
};

use super::{FlashError, io_error, toolchain::on_path};

/// What is left of a run.
pub(super) struct Ended {
    /// None when it had to be stopped.
    pub(super) status: Option<ExitStatus>,
    /// The defmt stream.
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

/// What the emulated clock follows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    /// An instruction is a nanosecond: the count that the firmware reports is exact and the same on
    /// every host.
    Instructions,
    /// The host's time, which lets QEMU run several times faster.
    Host,
}

/// Runs `image` with `folder` as the working directory, where it finds its files.
pub(super) fn run(
    machine: &str,
    image: &Path,
    folder: &Path,
    clock: Clock,
    timeout: Duration,
) -> Result<Ended, FlashError> {
    let qemu = on_path(QEMU).ok_or(FlashError::MissingProgram {
        program: QEMU,
        remedy: "install your system's package (Debian and Ubuntu: qemu-system-arm), \
                 or run `cargo xtask setup` in Mote's repository",
    })?;
    let mut child = Command::new(qemu)
        .args(["-M", machine])
        .args(if clock == Clock::Instructions { &["-icount", "shift=0"][..] } else { &[] })
        .args(["-display", "none", "-monitor", "none", "-serial", "none"])
        .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
        .arg(image)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(io_error(|| format!("start {QEMU}")))?;

    let stdout = child.stdout.take().map(drain);
    let stderr = child.stderr.take().map(drain);
    let deadline = Instant::now() + timeout;
    let status = loop {
        match child.try_wait().map_err(io_error(|| format!("wait for {QEMU}")))? {
            Some(status) => break Some(status),
            None if Instant::now() >= deadline => {
                // It may end by itself at this very moment; either way it is gone afterwards.
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
            None => thread::sleep(POLL),
        }
    };
    let join = |reader: Option<thread::JoinHandle<Vec<u8>>>| {
        reader.and_then(|reader| reader.join().ok()).unwrap_or_default()
    };
    Ok(Ended { status, stdout: join(stdout), stderr: join(stderr) })
}

const QEMU: &str = "qemu-system-arm";
const POLL: Duration = Duration::from_millis(10);

/// Reads to the end beside the run, so that a full pipe never stops it.
fn drain(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is still worth showing.
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}
