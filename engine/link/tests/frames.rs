//! Frames over a line that loses, adds and flips bytes.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use mote_link::frame::{FrameError, receive, send};

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    send(&mut wire, kind, &[payload]).unwrap();
    wire
}

/// The next frame: kind and payload.
fn next(wire: &mut &[u8]) -> Result<(u8, Vec<u8>), FrameError<core::convert::Infallible>> {
    let mut incoming = receive(wire)?;
    let kind = incoming.kind();
    let mut payload = vec![0; incoming.left()];
    incoming.read(&mut payload)?;
    incoming.finish()?;
    Ok((kind, payload))
}

#[test]
fn parts_are_one_payload() {
    let mut wire = Vec::new();
    send(&mut wire, 7, &[b"abc", b"", b"de"]).unwrap();
    assert_eq!(wire, frame(7, b"abcde"));
    // The bytes themselves, so that they stay what they are: the checksums are of Python's zlib.
    assert_eq!(wire[..8], *b"Mt\x07\0\x05\0\0\0");
    assert_eq!(wire[8..12], 0xe546_3ce7_u32.to_le_bytes());
    assert_eq!(wire[17..], 0x8587_d865_u32.to_le_bytes());
}

#[test]
fn noise_between_frames_is_skipped() {
    for noise in [&b""[..], b"M", b"MtMtMt", b"Mt\x07\0\x05\0\0\0wrong", b"boot 1.0\r\nM", &[0; 99]]
    {
        let wire = [noise, &frame(1, b"x"), noise, &frame(2, b"")].concat();
        let mut wire = &wire[..];
        assert_eq!(next(&mut wire), Ok((1, b"x".to_vec())), "{noise:?}");
        assert_eq!(next(&mut wire), Ok((2, Vec::new())), "{noise:?}");
        assert_eq!(next(&mut wire), Err(FrameError::Ended));
    }
}

#[test]
fn no_flipped_bit_passes() {
    let (sent, behind) = (frame(3, b"payload"), frame(4, b"next"));
    for bit in 0..sent.len() * 8 {
        let mut wire = [&sent[..], &behind[..]].concat();
        wire[bit / 8] ^= 1 << (bit % 8);
        let mut wire = &wire[..];
        // A header that is none is skipped with its payload; a payload is refused.
        let outcome = match next(&mut wire) {
            Err(FrameError::Checksum) => next(&mut wire),
            other => other,
        };
        assert_eq!(outcome, Ok((4, b"next".to_vec())), "bit {bit}");
    }
}

#[test]
fn a_frame_that_breaks_off_is_an_end() {
    let sent = frame(3, b"payload");
    for len in 0..sent.len() {
        assert_eq!(next(&mut &sent[..len]), Err(FrameError::Ended), "{len}");
    }
}

#[test]
fn what_is_not_read_is_skipped_and_still_checked() {
    let mut wire = frame(5, &[9; 1000]);
    assert_eq!(receive(&mut &wire[..]).unwrap().finish(), Ok(()));
    wire[500] ^= 1;
    assert_eq!(receive(&mut &wire[..]).unwrap().finish(), Err(FrameError::Checksum));
}
