//! A blob in the program's read-only memory.

/// Gives the alignment of its first field to its last. For [`include_model!`](crate::include_model).
#[doc(hidden)]
#[repr(C, align(16))]
#[derive(Debug)]
pub struct Aligned<T: ?Sized> {
    /// What is aligned.
    pub bytes: T,
}

/// Embeds a blob: makes a module with the aligned bytes, their arena size as a constant, and a
/// parser.
///
/// ```ignore
/// mote_engine::include_model!(pub mod person = "person.mote");
///
/// let model = person::parse()?;
/// let mut arena = Arena::<{ person::ARENA_BYTES }>::new();
/// ```
#[macro_export]
macro_rules! include_model {
    ($(#[$doc:meta])* $visibility:vis mod $name:ident = $path:expr) => {
        $(#[$doc])*
        $visibility mod $name {
            static ALIGNED: &$crate::include::Aligned<[u8]> =
                &$crate::include::Aligned { bytes: *include_bytes!($path) };

            /// The blob, on a 16-byte boundary.
            pub static BLOB: &[u8] = &ALIGNED.bytes;

            /// Bytes of arena that the model needs.
            pub const ARENA_BYTES: usize =
                $crate::format::arena_bytes(include_bytes!($path));

            /// Parses the blob.
            ///
            /// # Errors
            /// When the embedded file is not a sound blob of this version.
            pub fn parse() -> Result<$crate::Model<'static>, $crate::ParseError> {
                $crate::Model::parse(BLOB)
            }
        }
    };
}
