//! NumPy files: `.npy` whole or sample by sample, and the entries of a `.npz`.
//!
//! Little-endian, C order, format versions 1 to 3. A header is believed only as far as the file's
//! real length carries it, so a hostile one costs an error and no memory.

use core::ops::Range;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::files::{FileError, write_atomic};

/// A dense array in C order: the product of `shape` is the number of values.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    shape: Vec<usize>,
    values: Values,
}

impl Array {
    /// Puts `values` into `shape`.
    ///
    /// # Errors
    /// [`NpyError::Count`] if the shape holds another number of values.
    pub fn new(shape: impl Into<Vec<usize>>, values: impl Into<Values>) -> Result<Self, NpyError> {
        let (shape, values) = (shape.into(), values.into());
        if count(&shape) != Some(values.len()) {
            return Err(NpyError::Count { shape, found: values.len() });
        }
        Ok(Self { shape, values })
    }

    /// Reads the bytes of a `.npy` file.
    ///
    /// # Errors
    /// Every [`NpyError`] but `File`.
    pub fn parse(bytes: &[u8]) -> Result<Self, NpyError> {
        let mut rest = bytes;
        let header = Header::read(&mut rest)?;
        let needed = header.data_bytes()?;
        let found = rest.len() as u64;
        let data = usize::try_from(needed).ok().and_then(|needed| rest.get(..needed));
        let data = data.ok_or(NpyError::Truncated { needed, found })?;
        Ok(Self { values: Values::from_le_bytes(header.dtype, data), shape: header.shape })
    }

    /// Reads a `.npy` file.
    ///
    /// # Errors
    /// Every [`NpyError`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, NpyError> {
        let reader = Reader::open(path)?;
        reader.rows(0..reader.len())
    }

    /// The bytes of a `.npy` file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = header_bytes(self.values.dtype(), &self.shape);
        self.values.append_le_bytes(&mut bytes);
        bytes
    }

    /// Writes a `.npy` file, whole or not at all.
    ///
    /// # Errors
    /// [`FileError`] as for [`write_atomic`].
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), FileError> {
        write_atomic(path, &self.to_bytes())
    }

    /// The sizes of the axes, outermost first; empty for a single value.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The values in C order.
    #[must_use]
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// The values in C order, without a copy.
    #[must_use]
    pub fn into_values(self) -> Values {
        self.values
    }
}

/// Declares [`Dtype`] and [`Values`] from one list: variant, Rust type, NumPy's letter.
macro_rules! dtypes {
    ($($name:ident, $type:ident, $descr:literal;)*) => {
        /// The element types that are read and written.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Dtype {
            $(#[doc = concat!("`", stringify!($type), "`")] $name,)*
        }

        impl Dtype {
            /// Bytes an element.
            #[must_use]
            pub const fn bytes(self) -> usize {
                match self { $(Self::$name => size_of::<$type>(),)* }
            }

            /// NumPy's description, such as `<f4`.
            #[must_use]
            pub const fn descr(self) -> &'static str {
                match self { $(Self::$name => $descr,)* }
            }

            fn from_descr(descr: &str) -> Option<Self> {
                match descr { $($descr => Some(Self::$name),)* _ => None }
            }
        }

        /// The values of an array, by element type.
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub enum Values {
            $(#[doc = concat!("`", stringify!($type), "` values")] $name(Vec<$type>),)*
        }

        impl Values {
            /// How many there are.
            #[must_use]
            pub fn len(&self) -> usize {
                match self { $(Self::$name(values) => values.len(),)* }
            }

            /// Their type.
            #[must_use]
            pub const fn dtype(&self) -> Dtype {
                match self { $(Self::$name(_) => Dtype::$name,)* }
            }

            fn from_le_bytes(dtype: Dtype, bytes: &[u8]) -> Self {
                match dtype {
                    $(Dtype::$name => {
                        let (elements, _) = bytes.as_chunks();
                        Self::$name(elements.iter().map(|&e| $type::from_le_bytes(e)).collect())
                    })*
                }
            }

            fn append_le_bytes(&self, bytes: &mut Vec<u8>) {
                match self {
                    $(Self::$name(values) => {
                        bytes.reserve(size_of_val(values.as_slice()));
                        values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
                    })*
                }
            }
        }

        $(impl From<Vec<$type>> for Values {
            fn from(values: Vec<$type>) -> Self {
                Self::$name(values)
            }
        })*
    };
}

dtypes! {
    U8, u8, "|u1";
    I8, i8, "|i1";
    I16, i16, "<i2";
    I32, i32, "<i4";
    I64, i64, "<i8";
    F32, f32, "<f4";
    F64, f64, "<f8";
}

impl Values {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values as `f32`, rounded where `f32` cannot hold them.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "rounding is what is asked for")]
    #[expect(clippy::cast_precision_loss, reason = "rounding is what is asked for")]
    pub fn to_f32(&self) -> Vec<f32> {
        match self {
            Self::U8(values) => values.iter().map(|&v| f32::from(v)).collect(),
            Self::I8(values) => values.iter().map(|&v| f32::from(v)).collect(),
            Self::I16(values) => values.iter().map(|&v| f32::from(v)).collect(),
            Self::I32(values) => values.iter().map(|&v| v as f32).collect(),
            Self::I64(values) => values.iter().map(|&v| v as f32).collect(),
            Self::F32(values) => values.clone(),
            Self::F64(values) => values.iter().map(|&v| v as f32).collect(),
        }
    }

    /// The values as indices or labels; `None` if one is negative or not an integer type.
    #[must_use]
    pub fn to_indices(&self) -> Option<Vec<usize>> {
        match self {
            Self::U8(values) => Some(values.iter().map(|&v| v.into()).collect()),
            Self::I8(values) => values.iter().map(|&v| v.try_into().ok()).collect(),
            Self::I16(values) => values.iter().map(|&v| v.try_into().ok()).collect(),
            Self::I32(values) => values.iter().map(|&v| v.try_into().ok()).collect(),
            Self::I64(values) => values.iter().map(|&v| v.try_into().ok()).collect(),
            Self::F32(_) | Self::F64(_) => None,
        }
    }
}

/// A `.npy` file that is read a few rows (entries of the first axis) at a time, from any thread.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    file: Mutex<File>,
    header: Header,
    data_start: u64,
}

impl Reader {
    /// Opens a file and proves that it is as long as its header says.
    ///
    /// # Errors
    /// Every [`NpyError`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, NpyError> {
        let path = path.as_ref();
        let error = |source| NpyError::File(FileError::new("read", path, source));
        let mut file = File::open(path).map_err(error)?;
        let header = Header::read(&mut file).map_err(|fault| match fault {
            NpyError::File(fault) => error(fault.source),
            other => other,
        })?;
        let data_start = file.stream_position().map_err(error)?;
        let length = file.metadata().map_err(error)?.len();
        let (needed, found) = (header.data_bytes()?, length.saturating_sub(data_start));
        if found < needed {
            return Err(NpyError::Truncated { needed, found });
        }
        Ok(Self { path: path.into(), file: Mutex::new(file), header, data_start })
    }

    /// The element type.
    #[must_use]
    pub fn dtype(&self) -> Dtype {
        self.header.dtype
    }

    /// The sizes of the axes.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// The number of rows; 1 for a single value.
    #[must_use]
    pub fn len(&self) -> usize {
        self.header.shape.first().copied().unwrap_or(1)
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads some rows; the array's first axis is the number of them.
    ///
    /// # Errors
    /// [`NpyError::Rows`] if they do not exist, [`NpyError::File`] if reading fails.
    pub fn rows(&self, rows: Range<usize>) -> Result<Array, NpyError> {
        if rows.start > rows.end || rows.end > self.len() {
            return Err(NpyError::Rows { end: rows.end, rows: self.len() });
        }
        // All products below are bounded by the file's length, which `open` has checked.
        let mut shape = self.header.shape.clone();
        let row = shape.iter().skip(1).product::<usize>() * self.header.dtype.bytes();
        if let Some(first) = shape.first_mut() {
            *first = rows.len();
        }
        let mut bytes = vec![0; rows.len() * row];
        {
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            let start = self.data_start + (rows.start * row) as u64;
            file.seek(SeekFrom::Start(start))
                .and_then(|_| file.read_exact(&mut bytes))
                .map_err(|source| FileError::new("read", &self.path, source))?;
        }
        Ok(Array { shape, values: Values::from_le_bytes(self.header.dtype, &bytes) })
    }
}

/// A `.npz` archive: named arrays, stored or deflated.
#[derive(Debug)]
pub struct Npz {
    path: PathBuf,
    archive: zip::ZipArchive<io::BufReader<File>>,
}

impl Npz {
    /// Opens an archive and reads its directory.
    ///
    /// # Errors
    /// [`NpyError::File`], [`NpyError::Archive`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, NpyError> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|source| FileError::new("read", path, source))?;
        let archive = zip::ZipArchive::new(io::BufReader::new(file))?;
        Ok(Self { path: path.into(), archive })
    }

    /// The names of the arrays, without `.npy`, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let entries = self.archive.file_names().flatten();
        let mut names: Vec<_> =
            entries.filter_map(|name| name.strip_suffix(".npy").map(String::from)).collect();
        names.sort_unstable();
        names
    }

    /// Reads one array.
    ///
    /// # Errors
    /// [`NpyError::NoEntry`] if there is none of that name; otherwise every [`NpyError`].
    pub fn read(&mut self, name: &str) -> Result<Array, NpyError> {
        let mut entry = match self.archive.by_name(&format!("{name}.npy")) {
            Err(zip::result::ZipError::FileNotFound) => {
                return Err(NpyError::NoEntry { name: name.into(), path: self.path.clone() });
            }
            entry => entry?,
        };
        let header = Header::read(&mut entry)?;
        let needed = header.data_bytes()?;
        if needed > MAX_ENTRY_BYTES {
            return Err(NpyError::TooLarge { needed, limit: MAX_ENTRY_BYTES });
        }
        // `read_to_end` grows with what really arrives, whatever the header promises.
        let mut data = Vec::new();
        entry
            .take(needed)
            .read_to_end(&mut data)
            .map_err(|source| FileError::new("read", &self.path, source))?;
        if data.len() as u64 != needed {
            return Err(NpyError::Truncated { needed, found: data.len() as u64 });
        }
        Ok(Array { values: Values::from_le_bytes(header.dtype, &data), shape: header.shape })
    }
}

/// Why a NumPy file was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NpyError {
    /// The system could not read it.
    #[error(transparent)]
    File(#[from] FileError),
    /// It does not begin like a `.npy` file.
    #[error("not a .npy file: it does not begin with \\x93NUMPY and a version from 1 to 3")]
    Magic,
    /// The header is not what NumPy writes.
    #[error("broken .npy header: {0}")]
    Header(&'static str),
    /// An element type that is not read.
    #[error(
        "element type {0:?} is not supported; convert with x.astype(np.float32), or to uint8, \
         int8, int16, int32, int64 or float64 (little-endian)"
    )]
    Dtype(String),
    /// Fortran order.
    #[error("the array is in Fortran order; save np.ascontiguousarray(x) instead")]
    Fortran,
    /// The file is shorter than its header says.
    #[error("the header promises {needed} bytes of data, the file holds {found}")]
    Truncated {
        /// Bytes that the header promises.
        needed: u64,
        /// Bytes that there are.
        found: u64,
    },
    /// An archive entry beyond the limit.
    #[error("an entry of {needed} bytes; the limit is {limit}")]
    TooLarge {
        /// Bytes that the header promises.
        needed: u64,
        /// The most that is read.
        limit: u64,
    },
    /// A shape that does not fit its values.
    #[error("shape {shape:?} does not hold {found} values")]
    Count {
        /// The shape.
        shape: Vec<usize>,
        /// The number of values.
        found: usize,
    },
    /// Rows that do not exist.
    #[error("row {end} was asked for; the array has {rows}")]
    Rows {
        /// One past the last row that was asked for.
        end: usize,
        /// The rows that there are.
        rows: usize,
    },
    /// The archive is broken.
    #[error("broken .npz archive: {0}")]
    Archive(#[from] zip::result::ZipError),
    /// No array of that name.
    #[error("no array {name:?} in {}", path.display())]
    NoEntry {
        /// The name that was asked for.
        name: String,
        /// The archive.
        path: PathBuf,
    },
}

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// NumPy aligns the data to this many bytes.
const ALIGNMENT: usize = 64;
/// Far more than seven types and a few axes need.
const MAX_HEADER_BYTES: u32 = 16 * 1024;
const MAX_AXES: usize = 32;
const MAX_ENTRY_BYTES: u64 = 2 << 30;

#[derive(Debug)]
struct Header {
    dtype: Dtype,
    shape: Vec<usize>,
}

impl Header {
    /// Reads up to the first byte of the data.
    fn read(from: &mut impl Read) -> Result<Self, NpyError> {
        let mut read = |bytes: &mut [u8]| {
            from.read_exact(bytes).map_err(|fault| match fault.kind() {
                io::ErrorKind::UnexpectedEof => NpyError::Header("the file ends inside it"),
                _ => NpyError::File(FileError::new("read", "", fault)),
            })
        };
        let mut start = [0; 8];
        read(&mut start).map_err(|fault| match fault {
            NpyError::Header(_) => NpyError::Magic,
            other => other,
        })?;
        if &start[..6] != MAGIC {
            return Err(NpyError::Magic);
        }
        let length = match start[6] {
            1 => {
                let mut length = [0; 2];
                read(&mut length)?;
                u16::from_le_bytes(length).into()
            }
            2 | 3 => {
                let mut length = [0; 4];
                read(&mut length)?;
                u32::from_le_bytes(length)
            }
            _ => return Err(NpyError::Magic),
        };
        if length > MAX_HEADER_BYTES {
            return Err(NpyError::Header("unreasonably long"));
        }
        let mut text = vec![0; length as usize];
        read(&mut text)?;
        let text = core::str::from_utf8(&text).map_err(|_| NpyError::Header("not text"))?;
        Self::parse(text)
    }

    /// Parses `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`.
    fn parse(text: &str) -> Result<Self, NpyError> {
        let mut scan = Scan(text);
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        scan.expect('{')?;
        while !scan.take('}') {
            let key = scan.string()?;
            scan.expect(':')?;
            match key {
                "descr" => descr = Some(scan.string()?),
                "fortran_order" => fortran = Some(scan.boolean()?),
                "shape" => shape = Some(scan.tuple()?),
                _ => return Err(NpyError::Header("an unknown key")),
            }
            if !scan.take(',') {
                scan.expect('}')?;
                break;
            }
        }
        let (Some(descr), Some(fortran), Some(shape)) = (descr, fortran, shape) else {
            return Err(NpyError::Header("descr, fortran_order or shape is missing"));
        };
        let dtype = Dtype::from_descr(descr).ok_or_else(|| NpyError::Dtype(descr.into()))?;
        if fortran && shape.len() > 1 {
            return Err(NpyError::Fortran);
        }
        Ok(Self { dtype, shape })
    }

    fn data_bytes(&self) -> Result<u64, NpyError> {
        count(&self.shape)
            .and_then(|count| count.checked_mul(self.dtype.bytes()))
            .map(|bytes| bytes as u64)
            .ok_or(NpyError::Header("the shape is larger than memory can be"))
    }
}

/// The product of the axes. Checked without the zeros too, so that any part of it fits as well.
fn count(shape: &[usize]) -> Option<usize> {
    let sizes = shape.iter().filter(|&&size| size != 0);
    let product = sizes.copied().try_fold(1_usize, usize::checked_mul)?;
    let product = isize::try_from(product).ok()?.unsigned_abs();
    Some(if shape.contains(&0) { 0 } else { product })
}

fn header_bytes(dtype: Dtype, shape: &[usize]) -> Vec<u8> {
    let axes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let axes = if shape.len() == 1 { axes.trim_end() } else { axes.trim_end_matches(", ") };
    let descr = dtype.descr();
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({axes}), }}");
    let before = MAGIC.len() + 2 + 2;
    let padded = (before + text.len() + 1).next_multiple_of(ALIGNMENT) - before;
    text.extend(core::iter::repeat_n(' ', padded - text.len() - 1));
    text.push('\n');
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX); // some twenty digits an axis
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend(length.to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

/// The rest of a header's text.
struct Scan<'a>(&'a str);

impl<'a> Scan<'a> {
    fn take(&mut self, wanted: char) -> bool {
        self.0 = self.0.trim_start();
        let rest = self.0.strip_prefix(wanted);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn expect(&mut self, wanted: char) -> Result<(), NpyError> {
        if self.take(wanted) {
            Ok(())
        } else {
            Err(NpyError::Header("not a dictionary of NumPy's"))
        }
    }

    fn string(&mut self) -> Result<&'a str, NpyError> {
        let quote = if self.take('\'') {
            '\''
        } else {
            self.expect('"')?;
            '"'
        };
        let found = self.0.split_once(quote);
        let (string, rest) = found.ok_or(NpyError::Header("a string without an end"))?;
        self.0 = rest;
        Ok(string)
    }

    fn boolean(&mut self) -> Result<bool, NpyError> {
        self.0 = self.0.trim_start();
        for (text, value) in [("True", true), ("False", false)] {
            if let Some(rest) = self.0.strip_prefix(text) {
                self.0 = rest;
                return Ok(value);
            }
        }
        Err(NpyError::Header("fortran_order is neither True nor False"))
    }

    fn tuple(&mut self) -> Result<Vec<usize>, NpyError> {
        let mut sizes = Vec::new();
        self.expect('(')?;
        while !self.take(')') {
            if sizes.len() == MAX_AXES {
                return Err(NpyError::Header("too many axes"));
            }
            self.0 = self.0.trim_start();
            let end = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
            let (digits, rest) = self.0.split_at(end);
            sizes.push(digits.parse().map_err(|_| NpyError::Header("an axis is not a size"))?);
            self.0 = rest;
            if !self.take(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(sizes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TempDir, shared};

    fn file(version: u8, dictionary: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([version, 0]);
        let length = u32::try_from(dictionary.len()).unwrap().to_le_bytes();
        bytes.extend(&length[..if version == 1 { 2 } else { 4 }]);
        bytes.extend(dictionary.as_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn writes_what_numpy_writes() {
        let array = Array::new([2, 3], vec![1_i16, -2, 3, 4, 5, 6]).unwrap();
        let bytes = array.to_bytes();
        assert_eq!(bytes.len(), 128 + 12);
        let header = &bytes[10..128];
        assert!(
            header.starts_with(b"{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), } ")
        );
        assert!(header.ends_with(b" \n"));
        assert_eq!(&bytes[128..132], [1, 0, 0xfe, 0xff]);
    }

    #[test]
    fn every_type_and_rank_survives_the_round_trip() {
        let arrays = [
            Array::new([4], vec![0_u8, 1, 2, 255]),
            Array::new([2, 2], vec![-128_i8, 1, 2, 127]),
            Array::new([1, 2, 1], vec![i16::MIN, i16::MAX]),
            Array::new([], vec![i32::MIN]),
            Array::new([1], vec![i64::MIN]),
            Array::new([0, 7], Vec::<f32>::new()),
            Array::new([3], vec![0.5_f32, -0.0, f32::INFINITY]),
            Array::new([1, 1, 1, 1, 1], vec![1e300_f64]),
        ];
        for array in arrays {
            let array = array.unwrap();
            assert_eq!(Array::parse(&array.to_bytes()).unwrap(), array);
        }
    }

    #[test]
    fn reads_later_versions_and_looser_writing() {
        let tight = r#"{"shape":(2,),"fortran_order":True,"descr":"|u1"}"#;
        for version in [1, 2, 3] {
            let array = Array::parse(&file(version, tight, &[7, 8])).unwrap();
            assert_eq!(array, Array::new([2], vec![7_u8, 8]).unwrap());
        }
    }

    #[test]
    fn hostile_headers_are_errors() {
        let good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
        assert!(matches!(Array::parse(b"\x93NUM"), Err(NpyError::Magic)));
        assert!(matches!(Array::parse(b"PK\x03\x04....."), Err(NpyError::Magic)));
        assert!(matches!(Array::parse(&file(9, good, &[])), Err(NpyError::Magic)));
        let replaced = |from, to: &str| Array::parse(&file(1, &good.replace(from, to), &[0; 24]));
        assert!(matches!(replaced("<f4", ">f4"), Err(NpyError::Dtype(_))));
        assert!(matches!(replaced("<f4", "|O"), Err(NpyError::Dtype(_))));
        assert!(matches!(replaced("False", "True"), Err(NpyError::Fortran)));
        assert!(matches!(replaced("False", "Maybe"), Err(NpyError::Header(_))));
        assert!(matches!(replaced("2, 3", "-2, 3"), Err(NpyError::Header(_))));
        assert!(matches!(replaced("2, 3", "2, 99"), Err(NpyError::Truncated { .. })));
        let huge = "4294967296, 4294967296, 4294967296";
        assert!(matches!(replaced("2, 3", huge), Err(NpyError::Header(_))));
        assert!(matches!(replaced("2, 3", &format!("0, {huge}")), Err(NpyError::Header(_))));
        assert!(matches!(replaced("2, 3", &"1, ".repeat(40)), Err(NpyError::Header(_))));
        let endless = [MAGIC.as_slice(), &[2, 0, 255, 255, 255, 255]].concat();
        assert!(matches!(Array::parse(&endless), Err(NpyError::Header(_))));
        for end in 0..good.len() {
            assert!(Array::parse(&file(1, &good[..end], &[0; 24])).is_err());
        }
    }

    #[test]
    fn damaged_bytes_are_errors_or_arrays_that_hold_together() {
        let good = Array::new([2, 3], vec![1.5_f32; 6]).unwrap().to_bytes();
        let mut state = 1_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            usize::try_from(state >> 33).unwrap() % below
        };
        for _ in 0..20_000 {
            let mut bytes = good.clone();
            for _ in 0..=random(3) {
                // Half of the time another byte of the file: those mean something.
                let (at, from) = (random(80), random(80));
                bytes[at] = if random(2) == 0 { good[from] } else { random(256).to_le_bytes()[0] };
            }
            bytes.truncate(bytes.len() - random(2) * random(bytes.len()));
            if let Ok(array) = Array::parse(&bytes) {
                assert_eq!(array.shape().iter().product::<usize>(), array.values().len());
            }
        }
    }

    #[test]
    fn rows_are_read_one_by_one_from_several_threads() {
        let dir = TempDir::new("npy");
        let path = dir.path().join("x.npy");
        let values: Vec<i32> = (0..600).collect();
        Array::new([100, 2, 3], values.clone()).unwrap().write(&path).unwrap();
        let reader = Reader::open(&path).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (reader, values) = (&reader, &values);
                scope.spawn(move || {
                    for row in (thread..100).step_by(4) {
                        let expected = values[row * 6..row * 6 + 6].to_vec();
                        let expected = Array::new([1, 2, 3], expected).unwrap();
                        assert_eq!(reader.rows(row..row + 1).unwrap(), expected);
                    }
                });
            }
        });
        assert!(matches!(reader.rows(99..101), Err(NpyError::Rows { end: 101, rows: 100 })));
        assert_eq!(Array::read(&path).unwrap().shape(), [100, 2, 3]);
    }

    #[test]
    fn a_file_shorter_than_its_header_is_refused_on_opening() {
        let dir = TempDir::new("npy");
        let path = dir.path().join("x.npy");
        let bytes = Array::new([5], vec![1.0_f64; 5]).unwrap().to_bytes();
        write_atomic(&path, &bytes[..bytes.len() - 1]).unwrap();
        let error = Reader::open(&path).unwrap_err();
        assert!(matches!(error, NpyError::Truncated { needed: 40, found: 39 }));
        let missing = Reader::open(dir.path().join("absent.npy")).unwrap_err().to_string();
        assert!(missing.contains("absent.npy"), "{missing}");
    }

    #[test]
    fn archives_hold_named_arrays() {
        use std::io::Write;
        let dir = TempDir::new("npz");
        let path = dir.path().join("x.npz");
        let one = Array::new([2], vec![1.0_f32, 2.0]).unwrap();
        let two = Array::new([64, 64], vec![3_u8; 4096]).unwrap();
        let mut archive = zip::ZipWriter::new(File::create(&path).unwrap());
        let options = zip::write::SimpleFileOptions::default();
        for (name, array, method) in [
            ("two.npy", &two, zip::CompressionMethod::Deflated),
            ("layer/one.npy", &one, zip::CompressionMethod::Stored),
        ] {
            archive.start_file(name, options.compression_method(method)).unwrap();
            archive.write_all(&array.to_bytes()).unwrap();
        }
        archive.finish().unwrap();

        let mut npz = Npz::open(&path).unwrap();
        assert_eq!(npz.names(), ["layer/one", "two"]);
        assert_eq!(npz.read("layer/one").unwrap(), one);
        assert_eq!(npz.read("two").unwrap(), two);
        assert!(matches!(npz.read("three"), Err(NpyError::NoEntry { .. })));
        write_atomic(&path, b"not an archive").unwrap();
        assert!(matches!(Npz::open(&path), Err(NpyError::Archive(_))));
    }

    #[test]
    fn reads_what_numpy_wrote() {
        let Some(golden) = shared("golden") else { return };
        let (mut arrays, mut archives) = (0, 0);
        for entry in std::fs::read_dir(golden).unwrap() {
            for file in std::fs::read_dir(entry.unwrap().path()).into_iter().flatten() {
                let path = file.unwrap().path();
                match path.extension().and_then(|extension| extension.to_str()) {
                    Some("npy") => {
                        assert!(!Array::read(&path).unwrap().values().is_empty());
                        arrays += 1;
                    }
                    Some("npz") => {
                        let mut npz = Npz::open(&path).unwrap();
                        for name in npz.names() {
                            npz.read(&name).unwrap();
                        }
                        archives += 1;
                    }
                    _ => {}
                }
            }
        }
        assert!(arrays > 0 && archives > 0);
    }
}
