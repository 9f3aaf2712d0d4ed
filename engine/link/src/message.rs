//! What the frames mean.

use bytemuck::{Pod, Zeroable};

/// Raised when a host or a board of the old kind would misunderstand.
pub const PROTOCOL: u16 = 1;

/// Bytes of the blob in one [`Request::Chunk`].
pub const CHUNK_BYTES: usize = 512;

macro_rules! kinds {
    ($(#[$doc:meta])* $name:ident { $($(#[$each:meta])* $kind:ident = $code:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum $name { $($(#[$each])* $kind = $code,)* }

        impl $name {
            /// The kind of that code in a frame.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$kind),)* _ => None }
            }

            /// Its code in a frame.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self { $(Self::$kind => $code,)* }
            }
        }
    };
}

kinds! {
    /// What a host asks for.
    Request {
        /// No payload; answered by [`Answer::Info`].
        Hello = 1,
        /// The input tensor, int8; answered by [`Answer::Label`].
        Run = 2,
        /// [`Begin`]: a new model is coming. Answered by [`Answer::Ready`], as the next two are.
        Begin = 3,
        /// Offset in the blob (u32), then up to [`CHUNK_BYTES`] of it, in order.
        Chunk = 4,
        /// No payload: the new model is complete, take it.
        Commit = 5,
    }
}

kinds! {
    /// What a board answers.
    Answer {
        /// [`Info`], then the preprocessing rule as text.
        Info = 0x81,
        /// [`Label`], then the label as text, then the raw output.
        Label = 0x82,
        /// No payload: done.
        Ready = 0x83,
        /// One byte, a [`Fault`].
        Fault = 0xff,
    }
}

kinds! {
    /// Why a board refused.
    Fault {
        /// A message was damaged on its way.
        Checksum = 1,
        /// No such request.
        Request = 2,
        /// The payload has another length than the request needs.
        Length = 3,
        /// This board cannot store models.
        NoStore = 4,
        /// The blob is larger than a slot.
        TooLarge = 5,
        /// Chunks came out of order, or before their beginning.
        Order = 6,
        /// The flash failed.
        Flash = 7,
        /// What lies in flash is not what was sent.
        Verify = 8,
        /// A whole blob, but this firmware cannot run it: its operations or its arena are missing.
        Unfit = 9,
    }
}

impl core::fmt::Display for Fault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Checksum => "a message was damaged on its way; send it again",
            Self::Request => "the board does not know this request; update its firmware",
            Self::Length => "the board expects another length; ask it for its input first",
            Self::NoStore => "this firmware keeps its model in its own image and takes no other",
            Self::TooLarge => "the blob is larger than the board's slot for it",
            Self::Order => "a part of the blob was lost; begin again",
            Self::Flash => "the board's flash failed; the old model is still there",
            Self::Verify => "the flash does not hold what was sent; the old model is still there",
            Self::Unfit => {
                "the firmware has not the operations or not the arena for this blob; build it for \
                 this blob"
            }
        })
    }
}

/// What a board runs; 32 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Info {
    /// [`PROTOCOL`].
    pub protocol: u16,
    /// Channels of the input.
    pub channels: u16,
    /// Rows of the input.
    pub height: u32,
    /// Pixels of a row of the input.
    pub width: u32,
    /// Real value of one step of the input.
    pub scale: f32,
    /// Stored value of the input's real zero.
    pub zero_point: i32,
    /// Checksum of the model's blob, from its header.
    pub blob_checksum: u32,
    /// Bytes of a slot for another model; 0 when the board cannot store any.
    pub slot_bytes: u32,
    /// Zero.
    pub reserved: u32,
}

/// What a board saw; 16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Label {
    /// The class with the largest output.
    pub class: u32,
    /// Its output as a real number.
    pub score: f32,
    /// Bytes of the label's text that follows.
    pub label_bytes: u32,
    /// Bytes of the raw output behind it.
    pub output_bytes: u32,
}

/// A new model; 8 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Begin {
    /// Bytes of the blob.
    pub bytes: u32,
    /// CRC-32 of all of them.
    pub checksum: u32,
}

const _: () = assert!(size_of::<Info>() == 32);
const _: () = assert!(size_of::<Label>() == 16);
const _: () = assert!(size_of::<Begin>() == 8);
