//! The board's side: answers requests until it has a new model.

use embedded_io::{Read, Write};
use mote_engine::Session;
use mote_engine::format::MetadataKey;

use crate::frame::{FrameError, Incoming, receive, send};
use crate::message::{Answer, Begin, CHUNK_BYTES, Fault, Info, Label, PROTOCOL, Request};

/// Where a board keeps a new model. `()` is a board that cannot.
pub trait Store {
    /// Bytes that a blob may have; 0 for none.
    fn slot_bytes(&self) -> u32;

    /// Makes room for a blob. What was stored before in its place is gone, the active model is not.
    ///
    /// # Errors
    /// [`Fault::NoStore`], [`Fault::TooLarge`], [`Fault::Flash`].
    fn begin(&mut self, blob: Begin) -> Result<(), Fault>;

    /// Stores the next bytes.
    ///
    /// # Errors
    /// [`Fault::Order`], [`Fault::Flash`].
    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Fault>;

    /// Verifies the blob and makes it the active one.
    ///
    /// # Errors
    /// [`Fault::Order`], [`Fault::Flash`], [`Fault::Verify`], [`Fault::Unfit`]; the model that was
    /// active still is.
    fn commit(&mut self) -> Result<(), Fault>;
}

impl Store for () {
    fn slot_bytes(&self) -> u32 {
        0
    }

    fn begin(&mut self, _: Begin) -> Result<(), Fault> {
        Err(Fault::NoStore)
    }

    fn write(&mut self, _: u32, _: &[u8]) -> Result<(), Fault> {
        Err(Fault::NoStore)
    }

    fn commit(&mut self) -> Result<(), Fault> {
        Err(Fault::NoStore)
    }
}

/// Why [`serve`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended<E> {
    /// There is a new model: make a session for it and serve again.
    Updated,
    /// The other side hung up.
    HungUp,
    /// The line failed.
    Failed(E),
}

/// Answers requests. A picture goes straight from the line into the arena; nothing is allocated, and
/// what is damaged or out of place is refused, with the line ready for the next request.
pub fn serve<W: Read + Write, S: Store>(
    wire: &mut W,
    session: &mut Session<'_, '_>,
    store: &mut S,
) -> Ended<W::Error> {
    loop {
        let served = match receive(wire) {
            Ok(frame) => request(frame, session, store),
            Err(error) => Err(error),
        };
        let answered = match served {
            Ok(Ok(Request::Hello)) => info(wire, session, store),
            Ok(Ok(Request::Run)) => run(wire, session),
            Ok(Ok(Request::Begin | Request::Chunk)) => send(wire, Answer::Ready.code(), &[]),
            Ok(Ok(Request::Commit)) => match send(wire, Answer::Ready.code(), &[]) {
                Ok(()) => return Ended::Updated,
                Err(error) => Err(error),
            },
            Ok(Err(fault)) => refuse(wire, fault),
            Err(FrameError::Checksum) => refuse(wire, Fault::Checksum),
            Err(FrameError::Ended) => return Ended::HungUp,
            Err(FrameError::Read(error)) => Err(error),
        };
        if let Err(error) = answered {
            return Ended::Failed(error);
        }
    }
}

/// Reads a request and does what has to be done before it is answered.
fn request<R: Read, S: Store>(
    mut frame: Incoming<'_, R>,
    session: &mut Session<'_, '_>,
    store: &mut S,
) -> Result<Result<Request, Fault>, FrameError<R::Error>> {
    let Some(request) = Request::from_code(frame.kind()) else {
        frame.finish()?;
        return Ok(Err(Fault::Request));
    };
    let len = frame.left();
    let outcome = match request {
        Request::Hello => {
            frame.finish()?;
            Ok(())
        }
        Request::Run => {
            let place = session.input_mut();
            let fits = place.len() == len;
            if fits {
                frame.read(bytemuck::cast_slice_mut(place))?;
            }
            frame.finish()?;
            if fits { Ok(()) } else { Err(Fault::Length) }
        }
        Request::Begin => {
            let mut begin = Begin::default();
            frame.read(bytemuck::bytes_of_mut(&mut begin))?;
            frame.finish()?;
            if len == size_of::<Begin>() { store.begin(begin) } else { Err(Fault::Length) }
        }
        Request::Chunk => {
            let mut offset = [0; 4];
            let mut chunk = [0; CHUNK_BYTES];
            frame.read(&mut offset)?;
            let read = frame.read(&mut chunk)?;
            frame.finish()?;
            match chunk.get(..read) {
                Some(bytes) if len == 4 + read => store.write(u32::from_le_bytes(offset), bytes),
                _ => Err(Fault::Length),
            }
        }
        Request::Commit => {
            frame.finish()?;
            store.commit()
        }
    };
    Ok(outcome.map(|()| request))
}

fn info<W: Write, S: Store>(
    wire: &mut W,
    session: &Session<'_, '_>,
    store: &S,
) -> Result<(), W::Error> {
    let model = session.model();
    let input = model.input();
    let small = |extent: usize| u32::try_from(extent).unwrap_or(u32::MAX);
    let info = Info {
        protocol: PROTOCOL,
        channels: u16::try_from(input.shape.channels).unwrap_or(u16::MAX),
        height: small(input.shape.height),
        width: small(input.shape.width),
        scale: input.scale,
        zero_point: input.zero_point.into(),
        blob_checksum: model.blob().checksum(),
        slot_bytes: store.slot_bytes(),
        reserved: 0,
    };
    let rule = model.blob().metadata(MetadataKey::Preprocess).unwrap_or_default();
    send(wire, Answer::Info.code(), &[bytemuck::bytes_of(&info), rule.as_bytes()])
}

fn run<W: Write>(wire: &mut W, session: &mut Session<'_, '_>) -> Result<(), W::Error> {
    session.run();
    let best = session.top_k::<1>().first().copied();
    let (class, score) = best.map_or((0, 0.0), |best| (best.class, best.score));
    let text = session.model().label(class.into()).unwrap_or_default();
    let output = session.output();
    let small = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
    let label = Label {
        class: class.into(),
        score,
        label_bytes: small(text.len()),
        output_bytes: small(output.len()),
    };
    let parts = [bytemuck::bytes_of(&label), text.as_bytes(), bytemuck::cast_slice(output)];
    send(wire, Answer::Label.code(), &parts)
}

fn refuse<W: Write>(wire: &mut W, fault: Fault) -> Result<(), W::Error> {
    send(wire, Answer::Fault.code(), &[&[fault.code()]])
}
