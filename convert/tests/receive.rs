//! A blob over a wire, with everything that can happen to it there.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "common/networks.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by several tests")]
mod networks;

use core::convert::Infallible;

use embedded_io::{ErrorType, Read};
use mote_convert::emit::AlignedBytes;
use mote_engine::format::{ALIGNMENT, Block};
use mote_engine::{Model, Numerics, ParseError, ReceiveError, receive};

/// Gives at most `step` bytes at a time.
struct Wire<'b> {
    bytes: &'b [u8],
    step: usize,
}

impl ErrorType for Wire<'_> {
    type Error = Infallible;
}

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let len = self.step.min(buffer.len()).min(self.bytes.len());
        let (now, later) = self.bytes.split_at(len);
        buffer[..len].copy_from_slice(now);
        self.bytes = later;
        Ok(len)
    }
}

fn blob() -> Vec<u8> {
    networks::blob(&networks::classifier(), Numerics::Tflite, "scalar", &[]).to_vec()
}

/// What arrives in a buffer of `room` bytes.
fn arrive(bytes: &[u8], step: usize, room: usize) -> Result<Vec<u8>, ReceiveError<Infallible>> {
    let mut blocks = vec![Block::default(); room.div_ceil(ALIGNMENT)];
    let buffer = &mut bytemuck::cast_slice_mut::<_, u8>(&mut blocks)[..room];
    receive(&mut Wire { bytes, step }, buffer).map(<[u8]>::to_vec)
}

#[test]
fn fragments_make_a_whole() {
    let blob = blob();
    for step in [1, 3, 79, 80, 81, usize::MAX] {
        for room in [blob.len(), blob.len() + 100] {
            assert_eq!(arrive(&blob, step, room).unwrap(), blob, "{step} bytes at a time");
        }
    }
    let arrived = AlignedBytes::from(arrive(&blob, 7, blob.len()).unwrap().as_slice());
    assert!(Model::parse(&arrived).is_ok());
}

#[test]
fn what_follows_stays_in_the_reader() {
    let blob = blob();
    let stream = [blob.as_slice(), b"next"].concat();
    let mut wire = Wire { bytes: &stream, step: 64 };
    let mut blocks = vec![Block::default(); stream.len().div_ceil(ALIGNMENT)];
    receive(&mut wire, bytemuck::cast_slice_mut(&mut blocks)).unwrap();
    assert_eq!(wire.bytes, b"next");
}

#[test]
fn an_early_end_is_told() {
    let blob = blob();
    for len in [0, 1, 79, 80, 81, blob.len() - 1] {
        let error = arrive(&blob[..len], 16, blob.len()).unwrap_err();
        assert_eq!(error, ReceiveError::Ended, "after {len} bytes");
        assert!(error.to_string().contains("stopped before"), "{error}");
    }
}

#[test]
fn a_small_buffer_is_told() {
    let blob = blob();
    let needed = u32::try_from(blob.len()).unwrap();
    let found = needed - 1;
    let error = arrive(&blob, 16, blob.len() - 1).unwrap_err();
    assert_eq!(error, ReceiveError::BufferTooSmall { needed, found });
    let error = arrive(&blob, 16, 79).unwrap_err();
    assert_eq!(error, ReceiveError::BufferTooSmall { needed: 80, found: 79 });
}

#[test]
fn a_damaged_byte_is_told() {
    let blob = blob();
    for place in (16..blob.len()).step_by(97) {
        let mut damaged = blob.clone();
        damaged[place] ^= 0x40;
        let error = arrive(&damaged, 16, blob.len()).unwrap_err();
        let checksum = matches!(error, ReceiveError::Parse(ParseError::Checksum { .. }));
        assert!(checksum, "byte {place}: {error}");
    }
    let mut damaged = blob.clone();
    damaged[0] = b'm';
    assert_eq!(
        arrive(&damaged, 16, blob.len()).unwrap_err(),
        ReceiveError::Parse(ParseError::Magic)
    );
}
