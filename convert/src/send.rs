//! A board on a serial line: pictures to it, labels back, new models into its flash.

use core::time::Duration;
use std::io::{self, Read, Write};

use embedded_io_adapters::std::FromStd;
use mote_engine::format::checksum;
use mote_link::frame::{self, FrameError};
use mote_link::message::{Answer, Begin, CHUNK_BYTES, Fault, Info, Label, PROTOCOL, Request};
use thiserror::Error;

use crate::blob::quantize;
use crate::preprocess::Preprocess;

/// A board that does not answer for so long is taken to be gone. A large network on a small chip
/// takes seconds.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How long a first sign of life may take.
pub const GREETING: Duration = Duration::from_secs(2);

/// Far more than any label and output.
const MAX_ANSWER: usize = 1 << 20;

/// How often a message that was damaged on its way is sent.
const TRIES: usize = 4;

/// Why a board could not be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The line failed.
    #[error("the serial line failed: {0}")]
    Line(#[from] io::Error),
    /// No answer.
    #[error(
        "no answer from the board; is this its port, does it run a firmware made with `mote flash \
         --serve`, is the speed right? Its reset button makes it listen anew"
    )]
    Silent,
    /// Damaged answers, again and again.
    #[error("the board's answers arrive damaged; take a shorter cable or a lower --baud")]
    Damaged,
    /// Not what was asked for.
    #[error("the board gave an answer that was not asked for; start it anew")]
    Confused,
    /// Another protocol.
    #[error(
        "the board speaks version {found} of the protocol, this command {PROTOCOL}; update the older one"
    )]
    Protocol {
        /// The board's.
        found: u16,
    },
    /// The board refused.
    #[error("the board refused: {0}")]
    Refused(Fault),
    /// A picture of another size.
    #[error("the board's network takes {expected} values, these are {found}")]
    InputLen {
        /// What it takes.
        expected: usize,
        /// What there is.
        found: usize,
    },
}

/// What a board runs.
#[derive(Clone, Copy, Debug)]
pub struct BoardInfo {
    /// Height, width, channels of the input.
    pub input: [usize; 3],
    /// Real value of one step of the input.
    pub scale: f32,
    /// Stored value of the input's real zero.
    pub zero_point: i8,
    /// Checksum of the model's blob.
    pub blob_checksum: u32,
    /// Bytes that another model may have; 0 when the board cannot store any.
    pub slot_bytes: u32,
    /// How pictures become its input.
    pub preprocess: Option<Preprocess>,
}

/// What a board saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The class with the largest output.
    pub class: u32,
    /// Its name; empty when the blob has none.
    pub label: String,
    /// Its output as a real number.
    pub score: f32,
    /// The raw output.
    pub output: Vec<i8>,
}

/// A port whose patience can be set.
pub trait Port: Read + Write {
    /// From now on a read without a byte for so long is [`io::ErrorKind::TimedOut`] (or
    /// [`io::ErrorKind::WouldBlock`]).
    ///
    /// # Errors
    /// The system's.
    fn set_patience(&mut self, patience: Duration) -> io::Result<()>;
}

impl Port for serial2::SerialPort {
    fn set_patience(&mut self, patience: Duration) -> io::Result<()> {
        self.set_read_timeout(patience)
    }
}

/// A board that answers.
pub struct Board<P: Port> {
    wire: FromStd<P>,
    info: BoardInfo,
}

impl<P: Port> core::fmt::Debug for Board<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Board").field("info", &self.info).finish_non_exhaustive()
    }
}

impl<P: Port> Board<P> {
    /// Greets the board and learns what it runs.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn connect(port: P) -> Result<Self, SendError> {
        let mut wire = FromStd::new(port);
        wire.inner_mut().set_patience(GREETING)?;
        let info = greet(&mut wire)?;
        wire.inner_mut().set_patience(PATIENCE)?;
        Ok(Self { wire, info })
    }

    /// What it runs.
    pub fn info(&self) -> &BoardInfo {
        &self.info
    }

    /// Real numbers as the board's input stores them.
    #[must_use]
    pub fn quantize(&self, values: &[f32]) -> Vec<i8> {
        let BoardInfo { scale, zero_point, .. } = self.info;
        values.iter().map(|&value| quantize(value, scale, zero_point)).collect()
    }

    /// Runs one input.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn run(&mut self, input: &[i8]) -> Result<Seen, SendError> {
        let expected = self.info.input.iter().product();
        if input.len() != expected {
            return Err(SendError::InputLen { expected, found: input.len() });
        }
        let payload = self.ask(Request::Run, &[bytemuck::cast_slice(input)], Answer::Label)?;
        let (label, rest): (Label, _) = head(&payload).ok_or(SendError::Confused)?;
        let text_bytes = label.label_bytes as usize;
        let (text, output) = rest.split_at_checked(text_bytes).ok_or(SendError::Confused)?;
        if output.len() != label.output_bytes as usize {
            return Err(SendError::Confused);
        }
        Ok(Seen {
            class: label.class,
            label: String::from_utf8_lossy(text).into_owned(),
            score: label.score,
            output: bytemuck::cast_slice(output).to_vec(),
        })
    }

    /// Puts another blob into the board's flash and lets it run that. `progress` hears how many
    /// bytes are there. Until the board has verified the whole blob it keeps the old one.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn update(&mut self, blob: &[u8], progress: &dyn Fn(usize)) -> Result<(), SendError> {
        let bytes = u32::try_from(blob.len()).map_err(|_| SendError::Refused(Fault::TooLarge))?;
        let begin = Begin { bytes, checksum: checksum(blob) };
        self.ask(Request::Begin, &[bytemuck::bytes_of(&begin)], Answer::Ready)?;
        let mut offset = 0_u32;
        for chunk in blob.chunks(CHUNK_BYTES) {
            self.ask(Request::Chunk, &[&offset.to_le_bytes(), chunk], Answer::Ready)?;
            // No more than the blob's length, which is a u32.
            offset += u32::try_from(chunk.len()).unwrap_or(0);
            progress(offset as usize);
        }
        self.ask(Request::Commit, &[], Answer::Ready)?;
        self.info = greet(&mut self.wire)?;
        Ok(())
    }

    fn ask(
        &mut self,
        request: Request,
        parts: &[&[u8]],
        expected: Answer,
    ) -> Result<Vec<u8>, SendError> {
        for _ in 0..TRIES {
            frame::send(&mut self.wire, request.code(), parts).map_err(line)?;
            match answer(&mut self.wire)? {
                Some((found, payload)) if found == expected => return Ok(payload),
                Some((Answer::Fault, payload)) => match fault(&payload) {
                    Some(Fault::Checksum) => {}
                    Some(fault) => return Err(SendError::Refused(fault)),
                    None => return Err(SendError::Confused),
                },
                Some(_) => return Err(SendError::Confused),
                // Asking for the same thing twice is only harmless where nothing is written.
                None if matches!(request, Request::Hello | Request::Run) => {}
                None => return Err(SendError::Damaged),
            }
        }
        Err(SendError::Damaged)
    }
}

/// Says hello until the board answers. It may still wait for the rest of a message whose sender has
/// gone; zeros, which are no message, end that.
fn greet<P: Port>(wire: &mut FromStd<P>) -> Result<BoardInfo, SendError> {
    for zeros in [0, 1 << 12, 1 << 16] {
        let outcome = wire.inner_mut().write_all(&vec![0; zeros]);
        let said = outcome.and_then(|()| frame::send(wire, Request::Hello.code(), &[]));
        match said {
            Err(error) if is_silence(&error) => continue,
            other => other?,
        }
        loop {
            match answer(wire) {
                Ok(Some((Answer::Info, payload))) => return info(&payload),
                // An answer to somebody else's question.
                Ok(_) => {}
                Err(SendError::Silent) => break,
                Err(error) => return Err(error),
            }
        }
    }
    Err(SendError::Silent)
}

/// The next answer; `None` when it arrived damaged.
fn answer<P: Port>(wire: &mut FromStd<P>) -> Result<Option<(Answer, Vec<u8>)>, SendError> {
    let mut incoming = frame::receive(wire).map_err(broken)?;
    let kind = Answer::from_code(incoming.kind()).ok_or(SendError::Confused)?;
    if incoming.left() > MAX_ANSWER {
        return Err(SendError::Confused);
    }
    let mut payload = vec![0; incoming.left()];
    incoming.read(&mut payload).map_err(broken)?;
    match incoming.finish() {
        Ok(()) => Ok(Some((kind, payload))),
        Err(FrameError::Checksum) => Ok(None),
        Err(error) => Err(broken(error)),
    }
}

fn info(payload: &[u8]) -> Result<BoardInfo, SendError> {
    let (info, rule): (Info, _) = head(payload).ok_or(SendError::Confused)?;
    if info.protocol != PROTOCOL {
        return Err(SendError::Protocol { found: info.protocol });
    }
    let rule = core::str::from_utf8(rule).map_err(|_| SendError::Confused)?;
    Ok(BoardInfo {
        input: [info.height as usize, info.width as usize, info.channels.into()],
        scale: info.scale,
        zero_point: i8::try_from(info.zero_point).map_err(|_| SendError::Confused)?,
        blob_checksum: info.blob_checksum,
        slot_bytes: info.slot_bytes,
        preprocess: rule.parse().ok().filter(|_| !rule.is_empty()),
    })
}

fn fault(payload: &[u8]) -> Option<Fault> {
    Fault::from_code(*payload.first()?)
}

/// A record and what lies behind it.
fn head<T: bytemuck::Pod>(payload: &[u8]) -> Option<(T, &[u8])> {
    let (head, rest) = payload.split_at_checked(size_of::<T>())?;
    Some((bytemuck::pod_read_unaligned(head), rest))
}

fn broken(error: FrameError<io::Error>) -> SendError {
    match error {
        FrameError::Read(error) => line(error),
        FrameError::Ended => SendError::Silent,
        FrameError::Checksum => SendError::Damaged,
    }
}

fn line(error: io::Error) -> SendError {
    if is_silence(&error) { SendError::Silent } else { SendError::Line(error) }
}

fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}
