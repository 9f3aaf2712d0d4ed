//! A V4L2 camera, or a file of its frames that stands in for it.

use core::fmt;
use core::str::FromStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use mote_convert::picture::Picture;
use rscam::Config;

use crate::Frame;
use crate::pixels;

/// Flags about the camera.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// A camera, such as /dev/video0, or a file of frames that stands in for one: YUYV frames one
    /// after another, or JPEG pictures one after another.
    #[arg(long, value_name = "DEVICE|FILE")]
    pub(crate) camera: Option<PathBuf>,
    /// Pixels of a frame.
    #[arg(long, value_name = "WxH", default_value_t = Size { width: 640, height: 480 }, requires = "camera")]
    size: Size,
    /// How the camera sends them.
    #[arg(long, value_enum, default_value_t = Format::Mjpeg, requires = "camera")]
    format: Format,
    /// Frames a second that the camera takes.
    #[arg(long, value_name = "N", default_value_t = 30, requires = "camera", value_parser = clap::value_parser!(u32).range(1..=1000))]
    fps: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A JPEG picture a frame.
    Mjpeg,
    /// Two bytes a pixel, without compression.
    Yuyv,
}

impl Format {
    /// V4L2's name.
    const fn code(self) -> &'static [u8; 4] {
        match self {
            Self::Mjpeg => b"MJPG",
            Self::Yuyv => b"YUYV",
        }
    }
}

/// Width and height of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    width: u16,
    height: u16,
}

impl Size {
    fn yuyv_bytes(self) -> usize {
        pixels::YUYV_BYTES * usize::from(self.width) * usize::from(self.height)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "a size is width x height, such as 640x480; the width is even";
        let (width, height) = text.split_once('x').ok_or(WRONG)?;
        match (width.parse(), height.parse()) {
            (Ok(width @ 1..), Ok(height @ 1..)) if width % 2 == 0 => Ok(Self { width, height }),
            _ => Err(WRONG),
        }
    }
}

/// Frames, one after another.
pub(crate) struct Camera {
    path: PathBuf,
    frames: Frames,
    size: Size,
    format: Format,
    number: u64,
}

enum Frames {
    Device(rscam::Camera),
    File(BufReader<File>),
}

impl Camera {
    pub(crate) fn open(path: &Path, args: &Args) -> anyhow::Result<Self> {
        let cannot = || format!("cannot open the camera {}", path.display());
        let kind = path.metadata().with_context(cannot)?.file_type();
        let frames = if kind.is_char_device() {
            Frames::Device(start(path, args).with_context(cannot)?)
        } else {
            Frames::File(BufReader::new(File::open(path).with_context(cannot)?))
        };
        let Args { size, format, .. } = *args;
        Ok(Self { path: path.to_owned(), frames, size, format, number: 0 })
    }

    /// The next frame; none after the last of a file.
    pub(crate) fn next(&mut self) -> anyhow::Result<Option<Frame>> {
        let Self { size, format, .. } = *self;
        let name = format!("frame {}", self.number);
        let picture = match &mut self.frames {
            Frames::Device(camera) => {
                Some(camera.capture().map(|frame| decode(&frame, size, format)))
            }
            Frames::File(file) => {
                let bytes = match format {
                    Format::Yuyv => next_chunk(file, size.yuyv_bytes()),
                    Format::Mjpeg => next_jpeg(file),
                };
                bytes.transpose().map(|bytes| bytes.map(|bytes| decode(&bytes, size, format)))
            }
        };
        let picture = picture
            .transpose()
            .with_context(|| format!("{name} of {} did not come", self.path.display()))?;
        self.number += 1;
        Ok(picture.map(|picture| Frame { name, picture }))
    }
}

/// Starts a V4L2 camera.
fn start(path: &Path, args: &Args) -> anyhow::Result<rscam::Camera> {
    let path = path.to_str().context("its name is not UTF-8")?;
    let mut camera = rscam::Camera::new(path)?;
    let started = camera.start(&Config {
        interval: (1, args.fps),
        resolution: (args.size.width.into(), args.size.height.into()),
        format: args.format.code(),
        ..Config::default()
    });
    match started {
        Ok(()) => Ok(camera),
        Err(error) => {
            let mut offers = String::new();
            for format in camera.formats().map_while(Result::ok) {
                let sizes = camera.resolutions(&format.format);
                let sizes = sizes.map_or_else(|_| String::new(), |sizes| format!(" {sizes:?}"));
                offers += &format!("\n   {format:?}{sizes}");
            }
            Err(anyhow!("{error}; --size, --format and --fps must be of what it offers:{offers}"))
        }
    }
}

fn decode(bytes: &[u8], size: Size, format: Format) -> anyhow::Result<Picture> {
    match format {
        Format::Mjpeg => Ok(Picture::decode(&pixels::with_tables(bytes))?),
        Format::Yuyv => {
            let bytes = bytes.get(..size.yuyv_bytes()).with_context(|| {
                format!("{} bytes are less than a frame of {size}", bytes.len())
            })?;
            Picture::new(size.width.into(), size.height.into(), pixels::rgb(bytes))
                .context("an empty frame")
        }
    }
}

/// So many bytes, or none at the end.
fn next_chunk(file: &mut impl BufRead, len: usize) -> io::Result<Option<Vec<u8>>> {
    if file.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let mut bytes = vec![0; len];
    file.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

/// Longer than the JPEG picture of any camera.
const MAX_JPEG_BYTES: u64 = 64 << 20;

/// A JPEG picture, or none at the end. Its segments are followed: what looks like its end may stand
/// inside of one, as in the preview that a camera adds.
fn next_jpeg(file: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    const START: [u8; 2] = [0xff, 0xd8];
    let Some(mut jpeg) = next_chunk(file, START.len())? else { return Ok(None) };
    if jpeg != START {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no JPEG picture starts there"));
    }
    let mut file = file.take(MAX_JPEG_BYTES);
    loop {
        // Up to a marker there is nothing, or the coded pixels of a scan.
        file.read_until(0xff, &mut jpeg)?;
        let code = match byte(&mut file, &mut jpeg)? {
            0xff => byte(&mut file, &mut jpeg)?,
            code => code,
        };
        match code {
            // A pixel's 0xff, or a restart between pixels.
            0 | 0xd0..=0xd7 => {}
            0xd9 => return Ok(Some(jpeg)),
            _ => {
                let len = [byte(&mut file, &mut jpeg)?, byte(&mut file, &mut jpeg)?];
                for _ in 2..u16::from_be_bytes(len) {
                    byte(&mut file, &mut jpeg)?;
                }
            }
        }
    }
}

fn byte(file: &mut impl Read, bytes: &mut Vec<u8>) -> io::Result<u8> {
    let mut byte = [0];
    file.read_exact(&mut byte)?;
    bytes.extend(byte);
    Ok(byte[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jpeg_pictures_are_told_apart_by_their_segments() {
        // A segment and coded pixels that hold what would be an end elsewhere.
        let first = b"\xff\xd8\xff\xe1\0\x08\xff\xd9\xff\xd8ab\xff\xda\0\x03cpix\xff\0\xff\xd3els\xff\xff\xd9";
        let second = b"\xff\xd8\xff\xd9";
        let mut file = io::Cursor::new([first.as_slice(), second].concat());
        assert_eq!(next_jpeg(&mut file).unwrap().unwrap(), first);
        assert_eq!(next_jpeg(&mut file).unwrap().unwrap(), second);
        assert_eq!(next_jpeg(&mut file).unwrap(), None);
        for len in 1..first.len() {
            assert!(next_jpeg(&mut &first[..len]).is_err(), "cut at {len}");
        }
        assert!(next_jpeg(&mut b"GIF89a".as_slice()).is_err());
    }

    #[test]
    fn sizes() {
        assert_eq!("640x480".parse(), Ok(Size { width: 640, height: 480 }));
        for wrong in ["640", "0x480", "641x480", "640x-1", "99999x2", "axb"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }
}
