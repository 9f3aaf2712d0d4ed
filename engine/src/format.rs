//! The records of a blob, byte for byte; docs/blob-format.md is the specification.
//!
//! Everything is little-endian. `mote-convert` writes these records, [`Blob`](crate::Blob) reads
//! them in place.

use bytemuck::{Pod, Zeroable};

/// First bytes of every blob.
pub const MAGIC: [u8; 4] = *b"MOTE";
/// A reader refuses a blob with a newer major version.
pub const VERSION_MAJOR: u16 = 1;
/// Newer minor versions only add what older readers may ignore.
pub const VERSION_MINOR: u16 = 0;
/// Alignment of a blob, of its sections and of the arena.
pub const ALIGNMENT: usize = 16;
/// More operations than any network for the edge has.
pub const MAX_OPS: usize = 1024;

/// [`ALIGNMENT`] bytes on such a boundary: what growing memory for blobs and arenas is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(16))]
pub struct Block([u8; ALIGNMENT]);

/// Where a section lies, from the start of the blob.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Section {
    /// Byte offset, a multiple of [`ALIGNMENT`].
    pub offset: u32,
    /// Length in bytes.
    pub bytes: u32,
}

/// The first 80 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Header {
    /// [`MAGIC`].
    pub magic: [u8; 4],
    /// Major version of the format.
    pub version_major: u16,
    /// Minor version of the format.
    pub version_minor: u16,
    /// Length of the whole blob.
    pub total_bytes: u32,
    /// CRC-32 (IEEE 802.3) of everything after this field.
    pub checksum: u32,
    /// [`Numerics`] code.
    pub numerics: u8,
    /// Zero.
    pub reserved: [u8; 3],
    /// Bytes of the activation arena, scratch included.
    pub arena_bytes: u32,
    /// One bit an [`OpKind`] that occurs: bit `code`.
    pub families: u32,
    /// [`Tensor`] records: the input, then the output of each operation in order.
    pub tensors: Section,
    /// [`Op`] records in execution order.
    pub ops: Section,
    /// Per-channel tables: biases, multipliers, scales, shifts.
    pub parameters: Section,
    /// Packed weights and lookup tables.
    pub weights: Section,
    /// [`Entry`] list.
    pub metadata: Section,
    /// Zero.
    pub reserved2: [u32; 3],
}

/// One activation tensor; 32 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Tensor {
    /// Rows.
    pub height: u32,
    /// Pixels of a row.
    pub width: u32,
    /// Values of a pixel.
    pub channels: u32,
    /// Byte offset in the arena.
    pub offset: u32,
    /// Real value of one step; 1 for halves.
    pub scale: f32,
    /// Stored value of real zero; 0 for halves.
    pub zero_point: i8,
    /// [`ElementType`] code.
    pub element: u8,
    /// Index of the last operation that reads it; the operation count for the network's output.
    pub last_use: u16,
    /// Zero.
    pub reserved: [u32; 2],
}

/// One operation; 96 bytes. Operation `i` writes tensor `i + 1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Op {
    /// [`OpKind`] code.
    pub kind: u16,
    /// [`IN_PLACE`] or zero.
    pub flags: u16,
    /// Tensors read; the second is [`NO_TENSOR`] for operations with one input.
    pub inputs: [u16; 2],
    /// Taps down and across.
    pub kernel: [u8; 2],
    /// Stride down and across.
    pub stride: [u8; 2],
    /// Dilation down and across.
    pub dilation: [u8; 2],
    /// Padding above and to the left.
    pub pad: [u8; 2],
    /// Channels and depth steps of a weight block.
    pub layout: [u8; 2],
    /// Smallest output.
    pub clamp_min: i8,
    /// Largest output.
    pub clamp_max: i8,
    /// Byte offset of the scratch in the arena.
    pub scratch_offset: u32,
    /// Bytes of scratch.
    pub scratch_bytes: u32,
    /// Byte offset of the weights in the weights section.
    pub weights_offset: u32,
    /// Bytes of weights.
    pub weights_bytes: u32,
    /// Byte offset in the parameters section of one i32 a channel.
    pub bias_offset: u32,
    /// Byte offset in the parameters section of one i32 (`tflite`) or f32 (`fp32`) a channel.
    pub multiplier_offset: u32,
    /// Byte offset in the parameters section of one i8 a channel (`tflite` only).
    pub shift_offset: u32,
    /// What else the kind needs; see docs/blob-format.md.
    pub numbers: [i32; 12],
}

/// Head of a metadata entry: `bytes` of UTF-8 follow, then zeros up to a multiple of four.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Entry {
    /// [`MetadataKey`] code; unknown ones are skipped.
    pub key: u32,
    /// Length of the text.
    pub bytes: u32,
}

/// Flag of [`Op`]: the output takes the place of the first input.
pub const IN_PLACE: u16 = 1;
/// No second input.
pub const NO_TENSOR: u16 = u16::MAX;

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident: $repr:ty { $($(#[$variant_doc:meta])* $variant:ident = $code:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[repr($repr)]
        pub enum $name {
            $($(#[$variant_doc])* $variant = $code,)*
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code in the blob.
            #[must_use]
            pub const fn code(self) -> $repr {
                self as $repr
            }

            /// The value of a code, or `None` when this version knows none.
            #[must_use]
            pub const fn from_code(code: $repr) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    /// The numerics contract that a blob was made for.
    Numerics: u8 {
        /// Q31 multiplier and shift, rounded as the TFLite reference does.
        Tflite = 0,
        /// One f32 multiply, rounded half to even.
        Fp32 = 1,
    }
}

codes! {
    /// How the elements of a tensor are stored.
    ElementType: u8 {
        /// Signed 8-bit.
        I8 = 0,
        /// IEEE 754 half precision.
        F16 = 1,
    }
}

impl ElementType {
    /// Bytes of one value.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::I8 => 1,
            Self::F16 => 2,
        }
    }
}

codes! {
    /// What an operation computes.
    OpKind: u16 {
        /// Convolution.
        Conv = 1,
        /// 1x1 convolution with stride one.
        PointwiseConv = 2,
        /// Depthwise convolution.
        DepthwiseConv = 3,
        /// Fully connected.
        FullyConnected = 4,
        /// Addition.
        Add = 5,
        /// Average pooling.
        AvgPool = 6,
        /// Maximum pooling.
        MaxPool = 7,
        /// Global average pooling.
        GlobalAvgPool = 8,
        /// Softmax.
        Softmax = 9,
        /// Padding.
        Pad = 10,
        /// Activation clamp.
        Clamp = 11,
        /// Element-wise function by table.
        Lookup = 12,
        /// Convolution of halves.
        ConvF16 = 13,
        /// 1x1 convolution of halves with stride one.
        PointwiseConvF16 = 14,
        /// Depthwise convolution of halves.
        DepthwiseConvF16 = 15,
        /// Fully connected, halves.
        FullyConnectedF16 = 16,
        /// Addition of halves.
        AddF16 = 17,
        /// Average pooling of halves.
        AvgPoolF16 = 18,
        /// Maximum pooling of halves.
        MaxPoolF16 = 19,
        /// Global average pooling of halves.
        GlobalAvgPoolF16 = 20,
        /// Softmax of halves.
        SoftmaxF16 = 21,
        /// Padding of halves.
        PadF16 = 22,
        /// Activation clamp of halves.
        ClampF16 = 23,
        /// From halves to int8.
        QuantizeF16 = 24,
        /// From int8 to halves.
        DequantizeF16 = 25,
    }
}

impl OpKind {
    /// The family's name as users read it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Conv => "conv",
            Self::PointwiseConv => "pointwise_conv",
            Self::DepthwiseConv => "depthwise_conv",
            Self::FullyConnected => "fully_connected",
            Self::Add => "add",
            Self::AvgPool => "avg_pool",
            Self::MaxPool => "max_pool",
            Self::GlobalAvgPool => "global_avg_pool",
            Self::Softmax => "softmax",
            Self::Pad => "pad",
            Self::Clamp => "clamp",
            Self::Lookup => "lookup",
            Self::ConvF16 => "conv_f16",
            Self::PointwiseConvF16 => "pointwise_conv_f16",
            Self::DepthwiseConvF16 => "depthwise_conv_f16",
            Self::FullyConnectedF16 => "fully_connected_f16",
            Self::AddF16 => "add_f16",
            Self::AvgPoolF16 => "avg_pool_f16",
            Self::MaxPoolF16 => "max_pool_f16",
            Self::GlobalAvgPoolF16 => "global_avg_pool_f16",
            Self::SoftmaxF16 => "softmax_f16",
            Self::PadF16 => "pad_f16",
            Self::ClampF16 => "clamp_f16",
            Self::QuantizeF16 => "quantize_f16",
            Self::DequantizeF16 => "dequantize_f16",
        }
    }

    /// Whether this program was built with its family: each is a feature of this crate.
    #[must_use]
    pub const fn is_linked(self) -> bool {
        match self {
            Self::Conv => cfg!(feature = "conv"),
            Self::PointwiseConv => cfg!(feature = "pointwise_conv"),
            Self::DepthwiseConv => cfg!(feature = "depthwise_conv"),
            Self::FullyConnected => cfg!(feature = "fully_connected"),
            Self::Add => cfg!(feature = "add"),
            Self::AvgPool => cfg!(feature = "avg_pool"),
            Self::MaxPool => cfg!(feature = "max_pool"),
            Self::GlobalAvgPool => cfg!(feature = "global_avg_pool"),
            Self::Softmax => cfg!(feature = "softmax"),
            Self::Pad => cfg!(feature = "pad"),
            Self::Clamp => cfg!(feature = "clamp"),
            Self::Lookup => cfg!(feature = "lookup"),
            Self::ConvF16 => cfg!(feature = "conv_f16"),
            Self::PointwiseConvF16 => cfg!(feature = "pointwise_conv_f16"),
            Self::DepthwiseConvF16 => cfg!(feature = "depthwise_conv_f16"),
            Self::FullyConnectedF16 => cfg!(feature = "fully_connected_f16"),
            Self::AddF16 => cfg!(feature = "add_f16"),
            Self::AvgPoolF16 => cfg!(feature = "avg_pool_f16"),
            Self::MaxPoolF16 => cfg!(feature = "max_pool_f16"),
            Self::GlobalAvgPoolF16 => cfg!(feature = "global_avg_pool_f16"),
            Self::SoftmaxF16 => cfg!(feature = "softmax_f16"),
            Self::PadF16 => cfg!(feature = "pad_f16"),
            Self::ClampF16 => cfg!(feature = "clamp_f16"),
            Self::QuantizeF16 => cfg!(feature = "quantize_f16"),
            Self::DequantizeF16 => cfg!(feature = "dequantize_f16"),
        }
    }

    /// How it reads and writes its tensors.
    #[must_use]
    pub const fn elements(self) -> (ElementType, ElementType) {
        match self {
            Self::QuantizeF16 => (ElementType::F16, ElementType::I8),
            Self::DequantizeF16 => (ElementType::I8, ElementType::F16),
            _ if self.code() >= Self::ConvF16.code() => (ElementType::F16, ElementType::F16),
            _ => (ElementType::I8, ElementType::I8),
        }
    }

    /// Whether it has two inputs.
    #[must_use]
    pub const fn is_binary(self) -> bool {
        matches!(self, Self::Add | Self::AddF16)
    }
}

impl Numerics {
    /// The contract's name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tflite => "tflite",
            Self::Fp32 => "fp32",
        }
    }

    /// Whether this program was built with it: each is a feature of this crate.
    #[must_use]
    pub const fn is_linked(self) -> bool {
        match self {
            Self::Tflite => cfg!(feature = "tflite"),
            Self::Fp32 => cfg!(feature = "fp32"),
        }
    }
}

codes! {
    /// What a metadata entry holds.
    MetadataKey: u32 {
        /// Class names, one a line.
        Labels = 1,
        /// Names of the tensors, one a line: the input, then each operation.
        Names = 2,
        /// How a picture becomes the input tensor.
        Preprocess = 3,
        /// Where the blob came from and how good it is, as JSON.
        Provenance = 4,
    }
}

const _: () = assert!(size_of::<Header>() == 80);
const _: () = assert!(size_of::<Tensor>() == 32);
const _: () = assert!(size_of::<Op>() == 96);

/// CRC-32 (IEEE 802.3, reflected) by nibbles: a table of 16 words instead of 256.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u32 {
    !update_checksum(!0, bytes)
}

/// [`checksum`] in pieces: begins with `!0`, each piece takes the last result, and the inverse of the
/// final one is the checksum.
#[must_use]
pub fn update_checksum(mut crc: u32, bytes: &[u8]) -> u32 {
    const TABLE: [u32; 16] = {
        let mut table = [0_u32; 16];
        let mut index = 0;
        while index < 16 {
            let mut crc = index;
            let mut bit = 0;
            while bit < 4 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
                bit += 1;
            }
            table[index as usize] = crc;
            index += 1;
        }
        table
    };
    for &byte in bytes {
        crc ^= u32::from(byte);
        crc = TABLE[(crc & 15) as usize] ^ (crc >> 4);
        crc = TABLE[(crc & 15) as usize] ^ (crc >> 4);
    }
    crc
}

/// `arena_bytes` of the blob that starts with `bytes`, for constants; 0 when it is no blob.
#[must_use]
pub const fn arena_bytes(bytes: &[u8]) -> usize {
    const OFFSET: usize = 20;
    if bytes.len() < OFFSET + 4 {
        return 0;
    }
    u32::from_le_bytes([bytes[OFFSET], bytes[OFFSET + 1], bytes[OFFSET + 2], bytes[OFFSET + 3]])
        as usize
}

const _: () = assert!(core::mem::offset_of!(Header, arena_bytes) == 20);
