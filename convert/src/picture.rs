//! A decoded picture: RGB, 8 bits a channel, rows from the top.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::error::DecodingError;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use crate::files::{FileError, read_bounded};

/// RGB8 pixels in `[height, width, 3]` order. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

impl Picture {
    /// File name extensions (in lower case) that a folder of pictures is searched for.
    pub const EXTENSIONS: [&str; 5] = ["jpg", "jpeg", "png", "bmp", "webp"];

    /// Whether the name of a file is that of a picture.
    #[must_use]
    pub fn is_named(path: &Path) -> bool {
        let extension = path.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| {
            Self::EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension))
        })
    }

    /// The longest file that is read.
    pub(crate) const MAX_FILE_BYTES: u64 = 128 << 20;

    /// A picture of the given pixels.
    ///
    /// `None` if either side is zero or the number of bytes is not `width * height * 3`.
    #[must_use]
    pub fn new(width: u32, height: u32, rgb: Vec<u8>) -> Option<Self> {
        let expected = u64::from(width).checked_mul(height.into())?.checked_mul(3)?;
        (expected != 0 && rgb.len() as u64 == expected).then_some(Self { width, height, rgb })
    }

    /// Reads a JPEG, PNG, BMP or WebP file; the content decides, not the name.
    ///
    /// # Errors
    /// [`PictureError`], which names the file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, PictureError> {
        let path = path.as_ref();
        let bytes = read_bounded(path, Self::MAX_FILE_BYTES)?;
        Self::decode(&bytes).map_err(|source| PictureError::Decode { path: path.into(), source })
    }

    /// Decodes the bytes of a picture file. Grey is spread over the three channels, palettes are
    /// looked up, transparency is dropped, 16 bits are rounded to 8, and a photo that the camera
    /// marked as turned is turned upright.
    ///
    /// # Errors
    /// If the content is none of the formats, is broken, or is larger than `MAX_SIDE` or
    /// `MAX_PIXELS`.
    pub fn decode(bytes: &[u8]) -> Result<Self, ImageError> {
        let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
        reader.limits(limits());
        if reader.format() == Some(ImageFormat::Jpeg) && breaks_off(bytes) {
            let fault = DecodingError::new(ImageFormat::Jpeg.into(), "the file breaks off");
            return Err(ImageError::Decoding(fault));
        }
        let mut decoder = reader.into_decoder()?;
        let (width, height) = decoder.dimensions();
        if u64::from(width) * u64::from(height) > MAX_PIXELS {
            let kind = image::error::LimitErrorKind::DimensionError;
            return Err(ImageError::Limits(image::error::LimitError::from_kind(kind)));
        }
        let orientation = decoder.orientation()?;
        let mut image = DynamicImage::from_decoder(decoder)?;
        image.apply_orientation(orientation);
        let image = image.into_rgb8();
        let (width, height) = image.dimensions();
        Self::new(width, height, image.into_raw()).ok_or_else(|| {
            let kind = image::error::LimitErrorKind::DimensionError;
            ImageError::Limits(image::error::LimitError::from_kind(kind))
        })
    }

    /// Pixels a row.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The pixels: `[height, width, 3]`.
    #[must_use]
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The picture with every byte changed.
    #[must_use]
    pub fn map(&self, change: impl Fn(u8) -> u8) -> Self {
        Self { rgb: self.rgb.iter().map(|&byte| change(byte)).collect(), ..*self }
    }
}

/// Why a picture could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The system could not read the file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The content is not a picture that can be decoded.
    #[error(
        "cannot decode {}: {source}; JPEG, PNG, BMP and WebP up to 64 megapixels are read",
        path.display()
    )]
    Decode {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        source: ImageError,
    },
}

const MAX_SIDE: u32 = 32 * 1024;
const MAX_PIXELS: u64 = 64 << 20;
/// What the decoder may hold at once: `MAX_PIXELS` of 16-bit RGBA.
const MAX_DECODER_BYTES: u64 = MAX_PIXELS * 8;

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    limits
}

/// Whether a JPEG has no end marker, as a copy that was interrupted. The decoder takes it and paints what is missing grey.
fn breaks_off(jpeg: &[u8]) -> bool {
    let mut rest = jpeg;
    loop {
        // A marker, or what the data of the picture may hold: a stuffed byte, a restart.
        let Some(at) = rest.windows(2).position(|pair| {
            pair[0] == 0xff && !matches!(pair[1], 0x00 | 0x01 | 0xd0..=0xd8 | 0xff)
        }) else {
            return true;
        };
        if rest[at + 1] == 0xd9 {
            return false;
        }
        // A segment with its length; a thumbnail in it may have an end marker of its own.
        let Some(&length) = rest[at + 2..].first_chunk() else { return true };
        let Some(after) = rest.get(at + 2 + usize::from(u16::from_be_bytes(length))..) else {
            return true;
        };
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, Luma, LumaA, Rgb, RgbImage, Rgba};

    use super::*;
    use crate::files::write_atomic;
    use crate::testing::{TempDir, shared};

    fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.into().write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn gradient(x: u32, y: u32) -> [u8; 3] {
        [x * 20, y * 30, 100 + x].map(|value| u8::try_from(value).unwrap())
    }

    #[test]
    fn lossless_formats_give_their_pixels() {
        let image = RgbImage::from_fn(9, 7, |x, y| Rgb(gradient(x, y)));
        for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::WebP] {
            let picture = Picture::decode(&encoded(image.clone(), format)).unwrap();
            assert_eq!((picture.width(), picture.height()), (9, 7));
            assert_eq!(picture.rgb(), image.as_raw().as_slice(), "{format:?}");
        }
    }

    #[test]
    fn jpeg_comes_close() {
        let image = RgbImage::from_fn(16, 16, |x, y| Rgb([100 + u8::try_from(x + y).unwrap(); 3]));
        let picture = Picture::decode(&encoded(image.clone(), ImageFormat::Jpeg)).unwrap();
        for (a, b) in picture.rgb().iter().zip(image.as_raw()) {
            assert!(a.abs_diff(*b) < 12);
        }
    }

    #[test]
    fn the_end_of_a_thumbnail_is_not_that_of_the_jpeg() {
        let jpeg = encoded(RgbImage::new(16, 16), ImageFormat::Jpeg);
        let with = [&jpeg[..2], b"\xff\xe1\x00\x06\xff\xd8\xff\xd9", &jpeg[2..], b"more"].concat();
        assert_eq!(Picture::decode(&with).unwrap(), Picture::decode(&jpeg).unwrap());
        assert!(Picture::decode(&with[..with.len() - 6]).is_err());
    }

    #[test]
    fn grey_alpha_and_deep_pictures_become_rgb() {
        let grey = encoded(GrayImage::from_pixel(2, 1, Luma([77])), ImageFormat::Png);
        assert_eq!(Picture::decode(&grey).unwrap().rgb(), [77; 6]);
        let bmp = encoded(GrayImage::from_pixel(2, 1, Luma([78])), ImageFormat::Bmp); // a palette
        assert_eq!(Picture::decode(&bmp).unwrap().rgb(), [78; 6]);
        let alpha = image::RgbaImage::from_pixel(1, 1, Rgba([1, 2, 3, 0]));
        assert_eq!(Picture::decode(&encoded(alpha, ImageFormat::Png)).unwrap().rgb(), [1, 2, 3]);
        let both = image::GrayAlphaImage::from_pixel(1, 1, LumaA([9, 128]));
        assert_eq!(Picture::decode(&encoded(both, ImageFormat::Png)).unwrap().rgb(), [9; 3]);
        let deep = image::ImageBuffer::from_pixel(1, 1, Rgb([0_u16, 257 * 5, u16::MAX]));
        let deep = DynamicImage::ImageRgb16(deep);
        assert_eq!(Picture::decode(&encoded(deep, ImageFormat::Png)).unwrap().rgb(), [0, 5, 255]);
    }

    #[test]
    fn broken_files_are_errors_that_name_them() {
        let dir = TempDir::new("picture");
        let path = dir.path().join("broken.jpg");
        let image = RgbImage::from_fn(9, 7, |x, y| Rgb(gradient(x, y)));
        let png = encoded(image.clone(), ImageFormat::Png);
        let jpeg = encoded(image, ImageFormat::Jpeg);
        let cut = (1..jpeg.len() - 2).map(|len| &jpeg[..len]);
        let others = [b"".as_slice(), b"hello", &png[..png.len() / 2], b"\xff\xd8\xff\xe0"];
        for bytes in others.into_iter().chain(cut) {
            write_atomic(&path, bytes).unwrap();
            let error = Picture::open(&path).unwrap_err().to_string();
            assert!(error.contains("broken.jpg"), "{error}");
        }
        let absent = Picture::open(dir.path().join("absent.png")).unwrap_err().to_string();
        assert!(absent.contains("absent.png"), "{absent}");
    }

    #[test]
    fn a_hostile_size_is_refused_before_memory_is_taken() {
        let mut bmp = encoded(RgbImage::new(2, 2), ImageFormat::Bmp);
        for (width, height) in [(30_000_u32, 30_000_u32), (u32::MAX / 2, 1), (1, 0x7fff_ffff)] {
            bmp[18..22].copy_from_slice(&width.to_le_bytes());
            bmp[22..26].copy_from_slice(&height.to_le_bytes());
            assert!(Picture::decode(&bmp).is_err());
        }
    }

    #[test]
    fn damaged_files_are_errors_or_pictures() {
        let image = RgbImage::from_fn(9, 7, |x, y| Rgb(gradient(x, y)));
        let mut state = 1_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            usize::try_from(state >> 33).unwrap() % below
        };
        for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::WebP, ImageFormat::Jpeg] {
            let good = encoded(image.clone(), format);
            for _ in 0..500 {
                let mut bytes = good.clone();
                for _ in 0..=random(4) {
                    let at = random(bytes.len());
                    bytes[at] = random(256).to_le_bytes()[0];
                }
                bytes.truncate(bytes.len() - random(2) * random(bytes.len()));
                if let Ok(picture) = Picture::decode(&bytes) {
                    assert!(!picture.rgb().is_empty());
                }
            }
        }
    }

    #[test]
    fn pixels_must_fill_the_picture() {
        assert!(Picture::new(2, 2, vec![0; 12]).is_some());
        assert!(Picture::new(2, 2, vec![0; 11]).is_none());
        assert!(Picture::new(0, 2, vec![]).is_none());
        assert!(Picture::new(u32::MAX, u32::MAX, vec![]).is_none());
    }

    #[test]
    fn the_grey_bitmaps_open() {
        let Some(pictures) = shared("pictures") else { return };
        for name in ["person.bmp", "no_person.bmp"] {
            let picture = Picture::open(pictures.join(name)).unwrap();
            assert_eq!((picture.width(), picture.height()), (96, 96));
            assert!(picture.rgb().chunks(3).all(|p| p[0] == p[1] && p[1] == p[2]));
        }
    }
}
