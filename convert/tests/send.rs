//! Host and board on a line: the board's code in a thread here, and the whole firmware on the
//! emulated board, whose UART is a terminal of this machine.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use core::time::Duration;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::thread;

use embedded_io_adapters::std::FromStd;
use mote_convert::blob::{Blob, Runner};
use mote_convert::flash::{self, Options, Program};
use mote_convert::send::{Board, Port, SendError};
use mote_convert::testing::TempDir;
use mote_engine::{Arena, Isa, Kernels, Numerics, Session};
use mote_link::message::{Begin, CHUNK_BYTES, Fault, Request};
use mote_link::{Ended, Slots, Store, serve};
use serde_json::Value;

use nor::Nor;

#[path = "common/networks.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by several tests")]
mod networks;

#[path = "../../engine/link/tests/common/nor.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by several tests")]
mod nor;

/// One end of a line on this machine.
struct Line(UnixStream);

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Line {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Port for Line {
    fn set_patience(&mut self, patience: Duration) -> io::Result<()> {
        self.0.set_read_timeout(Some(patience))
    }
}

/// Keeps the blob in memory.
#[derive(Default)]
struct Memory {
    begun: Begin,
    bytes: Vec<u8>,
    refuse: bool,
}

impl Store for Memory {
    fn slot_bytes(&self) -> u32 {
        1 << 16
    }

    fn begin(&mut self, blob: Begin) -> Result<(), Fault> {
        (self.begun, self.bytes) = (blob, Vec::new());
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Fault> {
        if offset as usize != self.bytes.len() {
            return Err(Fault::Order);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Fault> {
        let sound = mote_engine::format::checksum(&self.bytes) == self.begun.checksum;
        if sound && !self.refuse { Ok(()) } else { Err(Fault::Verify) }
    }
}

fn blob(numerics: Numerics, target: &str) -> Blob {
    Blob::new(networks::blob(&networks::everything(), numerics, target, &[])).unwrap()
}

fn input(blob: &Blob, seed: usize) -> Vec<i8> {
    let value = |i: usize| (i * i * 31 + i * seed + seed).to_le_bytes()[0].cast_signed();
    (0..blob.input().len()).map(value).collect()
}

fn expected(blob: &Blob, input: &[i8]) -> Vec<i8> {
    Runner::new(blob, Isa::Scalar).unwrap().run(input)
}

/// A board that runs `first`, then whatever it was sent, until the host hangs up.
fn board(first: Blob, refuse: bool) -> (UnixStream, thread::JoinHandle<()>) {
    let (here, there) = UnixStream::pair().unwrap();
    let thread = thread::spawn(move || {
        let mut wire = FromStd::new(there);
        let mut arena = Arena::<4096>::new();
        let mut store = Memory { refuse, ..Memory::default() };
        let mut blob = first;
        loop {
            let model = blob.model();
            let mut session = Session::new(model, Kernels::best(), arena.as_mut_slice()).unwrap();
            match serve(&mut wire, &mut session, &mut store) {
                Ended::Updated => blob = Blob::new(store.bytes.as_slice().into()).unwrap(),
                Ended::HungUp | Ended::Failed(_) => return,
            }
        }
    });
    (here, thread)
}

#[test]
fn pictures_and_models_go_over_the_line() {
    let [old, new] = [Numerics::Tflite, Numerics::Fp32].map(|numerics| blob(numerics, "scalar"));
    let (line, thread) = board(old.clone(), false);
    let mut host = Board::connect(Line(line)).unwrap();
    assert_eq!(host.info().input, [9, 8, 3]);
    assert_eq!(host.info().blob_checksum, old.model().blob().checksum());
    assert_eq!(host.info().preprocess, old.preprocess().copied());
    for seed in 0..3 {
        let input = input(&old, seed);
        let seen = host.run(&input).unwrap();
        assert_eq!(seen.output, expected(&old, &input));
        assert_eq!(seen.label, old.label(seen.class as usize));
    }
    let error = host.run(&[0; 5]).unwrap_err();
    assert!(matches!(error, SendError::InputLen { expected: 216, found: 5 }), "{error}");

    host.update(new.bytes(), &|_| {}).unwrap();
    assert_eq!(host.info().blob_checksum, new.model().blob().checksum());
    let input = input(&new, 9);
    assert_eq!(host.run(&input).unwrap().output, expected(&new, &input));
    drop(host);
    thread.join().unwrap();
}

#[test]
fn a_refused_model_leaves_the_old_one() {
    let (old, new) = (blob(Numerics::Tflite, "scalar"), blob(Numerics::Fp32, "scalar"));
    let (line, thread) = board(old.clone(), true);
    let mut host = Board::connect(Line(line)).unwrap();
    let error = host.update(new.bytes(), &|_| {}).unwrap_err();
    assert!(matches!(error, SendError::Refused(Fault::Verify)), "{error}");
    let input = input(&old, 1);
    assert_eq!(host.run(&input).unwrap().output, expected(&old, &input));
    drop(host);
    thread.join().unwrap();
}

/// A line of which only the board's end is left: what came over it, and nobody who reads answers.
struct Cut<'a>(&'a [u8]);

impl embedded_io::ErrorType for Cut<'_> {
    type Error = core::convert::Infallible;
}

impl embedded_io::Read for Cut<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        embedded_io::Read::read(&mut self.0, buffer)
    }
}

impl embedded_io::Write for Cut<'_> {
    fn write(&mut self, buffer: &[u8]) -> Result<usize, Self::Error> {
        Ok(buffer.len())
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

#[test]
fn wherever_the_line_is_cut_the_old_model_is_left() {
    let [old, new] = [Numerics::Tflite, Numerics::Fp32].map(|n| blob(n, "scalar"));
    // What `mote send --update` says.
    let begin = Begin {
        bytes: u32::try_from(new.bytes().len()).unwrap(),
        checksum: mote_engine::format::checksum(new.bytes()),
    };
    let mut said = Vec::new();
    let mut say = |request: Request, parts: &[&[u8]]| {
        mote_link::frame::send(&mut said, request.code(), parts).unwrap();
    };
    say(Request::Begin, &[bytemuck::bytes_of(&begin)]);
    for (chunk, offset) in new.bytes().chunks(CHUNK_BYTES).zip((0_u32..).step_by(CHUNK_BYTES)) {
        say(Request::Chunk, &[&offset.to_le_bytes(), chunk]);
    }
    say(Request::Commit, &[]);

    let slot = (begin.bytes + 64).next_multiple_of(256);
    let open = |nor: Nor| Slots::open(nor, 0, slot, |_: &mut Nor, _| true).unwrap();
    let mut slots = open(Nor::new(2 * slot));
    let bytes = u32::try_from(old.bytes().len()).unwrap();
    let checksum = mote_engine::format::checksum(old.bytes());
    slots.begin(Begin { bytes, checksum }).unwrap();
    slots.write(0, old.bytes()).unwrap();
    slots.commit().unwrap();
    let before = slots.into_flash();

    let mut arena = Arena::<4096>::new();
    let mut session = Session::new(old.model(), Kernels::best(), arena.as_mut_slice()).unwrap();
    for len in 0..=said.len() {
        let mut slots = open(before.clone());
        let ended = serve(&mut Cut(&said[..len]), &mut session, &mut slots);
        let whole = len == said.len();
        assert_eq!(ended, if whole { Ended::Updated } else { Ended::HungUp }, "cut at {len}");
        let place = open(slots.into_flash());
        let range = place.active().unwrap();
        let nor = place.into_flash();
        let active = &nor.bytes[range.start as usize..range.end as usize];
        assert!(active == if whole { new.bytes() } else { old.bytes() }, "cut at {len}");
    }
}

#[test]
fn a_board_that_waits_for_the_rest_of_a_message_is_woken() {
    let old = blob(Numerics::Tflite, "scalar");
    let (mut line, thread) = board(old.clone(), false);
    let mut message = Vec::new();
    mote_link::frame::send(&mut message, 2, &[&[7; 216]]).unwrap();
    line.write_all(&message[..100]).unwrap();
    let mut host = Board::connect(Line(line)).unwrap();
    let input = input(&old, 2);
    assert_eq!(host.run(&input).unwrap().output, expected(&old, &input));
    drop(host);
    thread.join().unwrap();
}

#[test]
fn a_line_without_a_board_is_silent() {
    struct Nobody;
    impl Read for Nobody {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::TimedOut.into())
        }
    }
    impl Write for Nobody {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            Ok(buffer.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Port for Nobody {
        fn set_patience(&mut self, _: Duration) -> io::Result<()> {
            Ok(())
        }
    }
    assert!(matches!(Board::connect(Nobody), Err(SendError::Silent)));
}

/// QEMU with the board in it; gone when dropped.
struct Emulated {
    qemu: Child,
    terminal: String,
}

impl Emulated {
    fn start(image: &std::path::Path) -> Self {
        let mut qemu = Command::new("qemu-system-arm")
            .args(["-M", "mps2-an386", "-display", "none", "-monitor", "none", "-serial", "pty"])
            .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
            .arg(image)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("qemu-system-arm; `cargo xtask setup` installs it");
        let mut output = BufReader::new(qemu.stdout.take().unwrap());
        let mut line = Vec::new();
        let terminal = loop {
            line.clear();
            assert!(output.read_until(b'\n', &mut line).unwrap() > 0, "QEMU ended");
            let text = String::from_utf8_lossy(&line);
            if let Some(terminal) = text.split_whitespace().find(|word| word.starts_with("/dev/")) {
                break terminal.to_owned();
            }
        };
        // The log must not fill the pipe.
        thread::spawn(move || io::copy(&mut output, &mut io::sink()));
        Self { qemu, terminal }
    }

    /// `mote send`'s report.
    fn send(&self, arguments: &[&str]) -> Value {
        let mut mote = Command::new(env!("CARGO_BIN_EXE_mote"));
        mote.args(["send", "--json", "--port", &self.terminal]).args(arguments);
        let output = mote.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Emulated {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

#[test]
#[ignore = "needs QEMU and a cross compiler"]
fn the_emulated_board_takes_pictures_and_models() {
    let folder = TempDir::new("send");
    let path = |name: &str| folder.path().join(name);
    let [old, new] = [Numerics::Tflite, Numerics::Fp32].map(|numerics| blob(numerics, "cortex-m4"));
    let board = flash::board("mps2-an386").unwrap();
    let input = vec![0; old.input().len()];
    let image =
        flash::image(old.bytes(), board, Program::Serve, &input, &Options::default()).unwrap();
    fs::write(path("serve.elf"), &image.elf).unwrap();
    fs::write(path("new.mote"), new.bytes()).unwrap();
    let picture = image::RgbImage::from_fn(8, 9, |x, y| {
        image::Rgb([x * 30, y * 28, x * y * 3].map(|value| value.to_le_bytes()[0]))
    });
    picture.save(path("picture.png")).unwrap();
    let [picture, update] =
        ["picture.png", "new.mote"].map(|name| path(name).display().to_string());

    let emulated = Emulated::start(&path("serve.elf"));
    let told = emulated.send(&[]);
    assert_eq!(told["input"], serde_json::json!([9, 8, 3]));
    for (blob, arguments) in
        [(&old, &[&picture[..]][..]), (&new, &[&picture, "--update", &update]), (&new, &[&picture])]
    {
        let report = emulated.send(arguments);
        let on_host = on_host(blob, &picture);
        let seen = &report["seen"];
        assert_eq!(seen["output"], serde_json::json!(on_host), "{arguments:?}");
        let class = usize::try_from(seen["class"].as_u64().unwrap()).unwrap();
        assert_eq!(seen["label"], blob.label(class), "{arguments:?}");
        let checksum = format!("{:08x}", blob.model().blob().checksum());
        assert_eq!(report["blob_checksum"], checksum, "{arguments:?}");
    }
}

/// What this machine makes of a picture.
fn on_host(blob: &Blob, picture: &str) -> Vec<i8> {
    let picture = mote_convert::picture::Picture::open(picture).unwrap();
    let values = blob.preprocess().unwrap().tensor_f32(&picture, 9, 8);
    expected(blob, &blob.quantize_input(&values))
}
