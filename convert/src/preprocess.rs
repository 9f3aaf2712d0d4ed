//! From a picture to a network's input: resize, centre crop, channel order, scaling.
//!
//! A model carries one [`Preprocess`], in its blob's metadata as the line that `Display` writes, so
//! that a picture reaches the network on the host and on the chip as it did in training.

use core::fmt;
use core::ops::Range;
use core::str::FromStr;
use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::picture::Picture;

/// How pictures become the input of a network.
///
/// As text, for metadata and for `--preprocess`: `scaling=tf crop=0.875 channels=rgb`, in any
/// order, each part optional; a scaling may stand for itself: `caffe` is
/// `scaling=caffe crop=0.875 channels=bgr`. `pixels=signed` is for pictures whose bytes are int8.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Preprocess {
    /// The channels that the network takes.
    pub channels: Channels,
    /// The part of the picture's shorter side that is kept, above 0 and up to 1.
    pub crop: f32,
    /// The values that the pixels become.
    pub scaling: Scaling,
    /// How the picture's bytes are to be read.
    pub pixels: Pixels,
}

/// How a picture's bytes say how bright a pixel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pixels {
    /// 0 is black, 255 white, as in every picture that is one.
    #[default]
    Unsigned,
    /// int8 in the bytes of a picture, -128 is black, 127 white: what some examples for
    /// microcontrollers keep as .bmp files, whose bytes go straight into an int8 input.
    Signed,
}

/// The channels that a network takes, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Channels {
    /// Red, green, blue.
    #[default]
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// One channel, the luma of ITU-R BT.601.
    Grey,
}

/// The scaling rules that families of networks were trained with:
/// value = (pixel - mean) / std, with a mean and a std for each of red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Scaling {
    /// The pixel, 0 to 255.
    #[default]
    Raw,
    /// pixel / 255, 0 to 1.
    Unit,
    /// pixel / 127.5 - 1, -1 to 1: Keras's MobileNets, Inception, Xception.
    Tf,
    /// (pixel / 255 - mean) / std of ImageNet: PyTorch's networks, Keras's DenseNets.
    Torch,
    /// Pixel minus the mean of ImageNet, commonly BGR: Caffe's networks, Keras's ResNet and VGG.
    Caffe,
    /// (pixel - 128) / 128.
    Offset128,
    /// Any other.
    Custom {
        /// Subtracted first: of red, green, blue.
        mean: [f32; 3],
        /// Then divided by: of red, green, blue; not zero.
        std: [f32; 3],
    },
}

impl Preprocess {
    /// The default of a scaling rule: ImageNet's centre crop, and the channel order of the family.
    #[must_use]
    pub fn new(scaling: Scaling) -> Self {
        let channels = if scaling == Scaling::Caffe { Channels::Bgr } else { Channels::Rgb };
        Self { channels, crop: DEFAULT_CROP, scaling, pixels: Pixels::Unsigned }
    }

    /// [`new`](Self::new) for a network that takes so many channels: with one, it takes the luma.
    #[must_use]
    pub fn for_channels(scaling: Scaling, channels: usize) -> Self {
        let preprocess = Self::new(scaling);
        if channels == 1 { Self { channels: Channels::Grey, ..preprocess } } else { preprocess }
    }

    /// The pixels of the part of the picture that the network sees: RGB8, `[height, width, 3]`. The
    /// picture is [unsigned](Self::unsigned).
    ///
    /// The shorter side is resized to `max(height, width) / crop` and the centre is cut out. A
    /// picture of `height` x `width` passes untouched; one whose shorter side is already right is
    /// only cut. Resizing is bilinear with antialiasing, in the fixed point arithmetic of Pillow,
    /// so that it gives the same pixels.
    #[must_use]
    pub fn geometry(&self, picture: &Picture, height: u32, width: u32) -> Vec<u8> {
        if (picture.height(), picture.width()) == (height, width) {
            return picture.rgb().to_vec();
        }
        let view = View::new(picture, self.crop, height, width);
        resample(picture, &view)
    }

    /// The picture with 0 for black and 255 for white, and the rule for such pictures.
    #[must_use]
    pub fn unsigned<'a>(&self, picture: &'a Picture) -> (Self, Cow<'a, Picture>) {
        let picture = match self.pixels {
            Pixels::Unsigned => Cow::Borrowed(picture),
            Pixels::Signed => Cow::Owned(picture.map(|byte| byte ^ 0x80)),
        };
        (Self { pixels: Pixels::Unsigned, ..*self }, picture)
    }

    /// What the network sees, before scaling: `[height, width, channels]`.
    #[must_use]
    pub fn pixels(&self, picture: &Picture, height: u32, width: u32) -> Vec<u8> {
        let (_, picture) = self.unsigned(picture);
        let mut pixels = self.geometry(&picture, height, width);
        match self.channels {
            Channels::Rgb => {}
            Channels::Bgr => {
                let (triples, _) = pixels.as_chunks_mut();
                triples.iter_mut().for_each(|[red, _, blue]| core::mem::swap(red, blue));
            }
            Channels::Grey => {
                let (triples, _) = pixels.as_chunks();
                pixels = triples.iter().map(|&rgb| luma(rgb)).collect();
            }
        }
        pixels
    }

    /// The input of a network: `[1, height, width, channels]`.
    #[must_use]
    pub fn tensor_f32(&self, picture: &Picture, height: u32, width: u32) -> Vec<f32> {
        let rule = self.mean_std();
        let pixels = self.pixels(picture, height, width);
        let rules = rule.iter().cycle();
        pixels.iter().zip(rules).map(|(&p, (mean, std))| (f32::from(p) - mean) / std).collect()
    }

    /// The scaling in the network's channel order: value = (pixel - mean) / std. One channel of
    /// grey takes the averages of the three.
    #[must_use]
    pub fn mean_std(&self) -> Vec<(f32, f32)> {
        let (mean, std) = self.scaling.mean_std();
        let mut rgb: Vec<_> = mean.into_iter().zip(std).collect();
        match self.channels {
            Channels::Rgb => rgb,
            Channels::Bgr => {
                rgb.reverse();
                rgb
            }
            Channels::Grey => {
                let average = |values: [f32; 3]| values.iter().sum::<f32>() / 3.0;
                vec![(average(mean), average(std))]
            }
        }
    }
}

impl Default for Preprocess {
    fn default() -> Self {
        Self::new(Scaling::default())
    }
}

impl Channels {
    /// How many there are.
    #[must_use]
    pub const fn count(self) -> usize {
        match self {
            Self::Rgb | Self::Bgr => 3,
            Self::Grey => 1,
        }
    }

    /// The name in the text form.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rgb => "rgb",
            Self::Bgr => "bgr",
            Self::Grey => "grey",
        }
    }
}

impl Scaling {
    /// The rules that have a name and need nothing else.
    pub const NAMED: [Self; 6] =
        [Self::Raw, Self::Unit, Self::Tf, Self::Torch, Self::Caffe, Self::Offset128];

    /// The name in the text form.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Unit => "unit",
            Self::Tf => "tf",
            Self::Torch => "torch",
            Self::Caffe => "caffe",
            Self::Offset128 => "offset128",
            Self::Custom { .. } => "custom",
        }
    }

    /// The rule as the means and the stds of red, green and blue.
    #[must_use]
    pub const fn mean_std(self) -> ([f32; 3], [f32; 3]) {
        match self {
            Self::Raw => ([0.0; 3], [1.0; 3]),
            Self::Unit => ([0.0; 3], [255.0; 3]),
            Self::Tf => ([127.5; 3], [127.5; 3]),
            Self::Torch => ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]),
            Self::Caffe => ([123.68, 116.779, 103.939], [1.0; 3]),
            Self::Offset128 => ([128.0; 3], [128.0; 3]),
            Self::Custom { mean, std } => (mean, std),
        }
    }
}

impl fmt::Display for Preprocess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { channels, crop, scaling, pixels } = self;
        write!(f, "scaling={} crop={crop} channels={}", scaling.name(), channels.name())?;
        if let Scaling::Custom { mean: [a, b, c], std: [d, e, g] } = scaling {
            write!(f, " mean={a},{b},{c} std={d},{e},{g}")?;
        }
        if *pixels == Pixels::Signed {
            write!(f, " pixels=signed")?;
        }
        Ok(())
    }
}

impl FromStr for Preprocess {
    type Err = PreprocessError;

    fn from_str(text: &str) -> Result<Self, PreprocessError> {
        let (mut channels, mut crop, mut scaling) = (None, DEFAULT_CROP, "raw");
        let (mut mean, mut std) = ([0.0; 3], [1.0; 3]);
        let mut pixels = Pixels::Unsigned;
        for part in text.split_whitespace() {
            let bad = || PreprocessError(part.into());
            match part.split_once('=').unwrap_or(("scaling", part)) {
                ("scaling", name) => scaling = name,
                ("crop", value) => {
                    crop = value.parse().ok().filter(|&c| c > 0.0 && c <= 1.0).ok_or_else(bad)?;
                }
                ("channels", name) => {
                    let all = [Channels::Rgb, Channels::Bgr, Channels::Grey];
                    channels = Some(all.into_iter().find(|c| c.name() == name).ok_or_else(bad)?);
                }
                ("pixels", "unsigned") => pixels = Pixels::Unsigned,
                ("pixels", "signed") => pixels = Pixels::Signed,
                ("mean", values) => mean = triple(values).ok_or_else(bad)?,
                ("std", values) => {
                    std = triple(values).filter(|std| !std.contains(&0.0)).ok_or_else(bad)?;
                }
                _ => return Err(bad()),
            }
        }
        let scaling = match scaling {
            "custom" => Some(Scaling::Custom { mean, std }),
            name => Scaling::NAMED.into_iter().find(|scaling| scaling.name() == name),
        };
        let scaling = scaling.ok_or_else(|| PreprocessError(text.into()))?;
        let default = Self::new(scaling);
        Ok(Self { channels: channels.unwrap_or(default.channels), crop, scaling, pixels })
    }
}

impl From<Preprocess> for String {
    fn from(preprocess: Preprocess) -> Self {
        preprocess.to_string()
    }
}

impl TryFrom<String> for Preprocess {
    type Error = PreprocessError;

    fn try_from(text: String) -> Result<Self, PreprocessError> {
        text.parse()
    }
}

/// A preprocessing line that is not understood; holds the part at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "preprocessing {0:?} is not understood; expected raw, unit, tf, torch, caffe, offset128 or \
     `custom mean=R,G,B std=R,G,B`, and optionally crop=0.875 (above 0, up to 1) and \
     channels=rgb|bgr|grey and pixels=signed"
)]
pub struct PreprocessError(String);

/// What ImageNet's evaluations use: 224 of 256.
const DEFAULT_CROP: f32 = 0.875;

fn triple(text: &str) -> Option<[f32; 3]> {
    let values: Option<Vec<f32>> =
        text.split(',').map(|v| v.parse().ok().filter(|v: &f32| v.is_finite())).collect();
    values?.try_into().ok()
}

/// ITU-R BT.601 in 16 bits of fraction. Grey stays what it is: the weights add up to 1.
pub(crate) fn luma([red, green, blue]: [u8; 3]) -> u8 {
    const WEIGHTS: [u32; 3] = [19595, 38470, 7471];
    const { assert!(WEIGHTS[0] + WEIGHTS[1] + WEIGHTS[2] == 1 << 16) };
    let channels = [red, green, blue].into_iter().zip(WEIGHTS);
    let sum: u32 = channels.map(|(channel, weight)| u32::from(channel) * weight).sum();
    saturate((sum + (1 << 15)) >> 16)
}

/// The part of a resized picture that is wanted: the resize is never computed outside of it.
struct View {
    horizontal: Taps,
    vertical: Taps,
}

impl View {
    fn new(picture: &Picture, crop: f32, height: u32, width: u32) -> Self {
        let shorter = picture.width().min(picture.height());
        let wanted = height.max(width);
        let target = (f64::from(wanted) / f64::from(crop)).round();
        // The cast saturates, and a crop that makes no sense (0, NaN) is a crop of everything.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let target = (target as u32).max(wanted);
        let axis = |size: u32, wanted: u32| {
            let (size, target, shorter) = (u64::from(size), u64::from(target), u64::from(shorter));
            let resized = (size * target + shorter / 2) / shorter;
            let first = (resized - u64::from(wanted)) / 2;
            Taps::new(size, resized, first..first + u64::from(wanted))
        };
        let horizontal = axis(picture.width(), width);
        Self { horizontal, vertical: axis(picture.height(), height) }
    }
}

/// For every output position of an axis, the input positions that it averages and their weights.
struct Taps {
    outputs: Vec<(Range<usize>, Range<usize>)>,
    weights: Vec<u32>,
}

/// Bits of fraction of a weight: 8 for the pixel and 2 to spare leave this many of 32.
const FRACTION: u32 = 32 - 8 - 2;

impl Taps {
    /// A triangle around the output's centre: as wide as two input pixels when enlarging, as two
    /// output pixels (which is the antialiasing) when reducing.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "inside the axis")]
    fn new(size: u64, resized: u64, wanted: Range<u64>) -> Self {
        let scale = size as f64 / resized as f64;
        let reach = scale.max(1.0);
        let mut taps = Self { outputs: Vec::new(), weights: Vec::new() };
        let mut triangle = Vec::new();
        for output in wanted {
            let centre = (output as f64 + 0.5) * scale;
            let first = ((centre - reach + 0.5).max(0.0) as u64).min(size - 1);
            let end = ((centre + reach + 0.5) as u64).clamp(first + 1, size);
            triangle.clear();
            triangle.extend((first..end).map(|input| {
                let distance = (input as f64 - centre + 0.5) / reach;
                (1.0 - distance.abs()).max(0.0)
            }));
            let sum: f64 = triangle.iter().sum();
            let start = taps.weights.len();
            let one = f64::from(1_u32 << FRACTION);
            taps.weights.extend(triangle.iter().map(|weight| (weight / sum * one + 0.5) as u32));
            taps.outputs.push((first as usize..end as usize, start..taps.weights.len()));
        }
        taps
    }

    /// The span of inputs that any output needs.
    fn inputs(&self) -> Range<usize> {
        let first = self.outputs.first().map_or(0, |(inputs, _)| inputs.start);
        let end = self.outputs.last().map_or(0, |(inputs, _)| inputs.end);
        first..end
    }

    fn iter(&self) -> impl Iterator<Item = (Range<usize>, &[u32])> {
        self.outputs.iter().map(|(inputs, span)| (inputs.clone(), &self.weights[span.clone()]))
    }
}

/// The whole picture in another size, distorted if need be: RGB8, `[height, width, 3]`.
pub(crate) fn resize(picture: &Picture, height: u32, width: u32) -> Vec<u8> {
    let axis = |size: u32, wanted: u32| Taps::new(size.into(), wanted.into(), 0..wanted.into());
    let (horizontal, vertical) = (axis(picture.width(), width), axis(picture.height(), height));
    resample(picture, &View { horizontal, vertical })
}

/// Rows first, rounded to 8 bits, then columns: the order decides the last bit.
fn resample(picture: &Picture, view: &View) -> Vec<u8> {
    let source_row = picture.width() as usize * 3;
    let row = view.horizontal.outputs.len() * 3;
    let rows = view.vertical.inputs();
    let mut narrowed = Vec::with_capacity(rows.len() * row);
    for source in picture.rgb()[rows.start * source_row..rows.end * source_row].chunks(source_row) {
        let (pixels, _) = source.as_chunks::<3>();
        for (inputs, weights) in view.horizontal.iter() {
            let mut sums = [HALF; 3];
            for (pixel, weight) in pixels[inputs].iter().zip(weights) {
                for (sum, &channel) in sums.iter_mut().zip(pixel) {
                    *sum += u32::from(channel) * weight;
                }
            }
            narrowed.extend(sums.map(|sum| saturate(sum >> FRACTION)));
        }
    }
    let mut resized = Vec::with_capacity(view.vertical.outputs.len() * row);
    let mut sums = vec![0; row];
    for (inputs, weights) in view.vertical.iter() {
        sums.fill(HALF);
        for (input, weight) in inputs.zip(weights) {
            let start = (input - rows.start) * row;
            for (sum, &channel) in sums.iter_mut().zip(&narrowed[start..start + row]) {
                *sum += u32::from(channel) * weight;
            }
        }
        resized.extend(sums.iter().map(|sum| saturate(sum >> FRACTION)));
    }
    resized
}

/// Rounds a sum of weighted pixels to nearest.
const HALF: u32 = 1 << (FRACTION - 1);

fn saturate(value: u32) -> u8 {
    u8::try_from(value).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some picture whose pixels differ everywhere.
    fn picture(width: u32, height: u32) -> Picture {
        let pixel = |i: u32| i.wrapping_mul(2_654_435_761).to_be_bytes()[0];
        Picture::new(width, height, (0..width * height * 3).map(pixel).collect()).unwrap()
    }

    fn cut(picture: &Picture, left: u32, top: u32, width: u32, height: u32) -> Vec<u8> {
        let rows = picture.rgb().chunks(picture.width() as usize * 3);
        let columns = left as usize * 3..(left + width) as usize * 3;
        let rows = rows.skip(top as usize).take(height as usize);
        rows.flat_map(|row| row[columns.clone()].to_vec()).collect()
    }

    #[test]
    fn the_right_size_passes_and_the_right_side_is_only_cut() {
        let preprocess = Preprocess::default();
        let small = picture(32, 32);
        assert_eq!(preprocess.geometry(&small, 32, 32), small.rgb());
        let wide = picture(341, 256);
        assert_eq!(preprocess.geometry(&wide, 224, 224), cut(&wide, 58, 16, 224, 224));
        let tall = picture(256, 300);
        assert_eq!(preprocess.geometry(&tall, 224, 224), cut(&tall, 16, 38, 224, 224));
        let all = Preprocess { crop: 1.0, ..preprocess };
        assert_eq!(all.geometry(&wide, 256, 256), cut(&wide, 42, 0, 256, 256));
        let oblong = Preprocess { crop: 1.0, ..preprocess };
        assert_eq!(oblong.geometry(&picture(64, 80), 48, 64), cut(&picture(64, 80), 0, 16, 64, 48));
    }

    #[test]
    fn halving_weighs_as_a_triangle() {
        // Output 1 of 4 (from 8): centre at 3, weights 1/8 3/8 3/8 1/8 over inputs 1 to 4.
        let row = [0, 80, 0, 0, 160, 0, 0, 0].map(|value| [value; 3]);
        let rows: Vec<u8> = row.as_flattened().repeat(8);
        let picture = Picture::new(8, 8, rows).unwrap();
        let all = Preprocess { crop: 1.0, ..Preprocess::default() };
        let reduced = all.geometry(&picture, 4, 4);
        assert_eq!(reduced[3], 10 + 20);
    }

    #[test]
    fn constant_pictures_stay_constant() {
        for (width, height) in [(1, 1), (1, 900), (700, 3), (37, 41), (500, 333)] {
            for crop in [1.0, 0.875, 0.3, 0.0, f32::NAN] {
                let grey = vec![201; width as usize * height as usize * 3];
                let picture = Picture::new(width, height, grey).unwrap();
                let preprocess = Preprocess { crop, ..Preprocess::default() };
                let pixels = preprocess.geometry(&picture, 24, 32);
                assert_eq!(pixels, vec![201; 24 * 32 * 3], "{width}x{height} {crop}");
            }
        }
    }

    #[test]
    fn resizes_to_the_same_pixels_as_pillow() {
        // Image.resize((12, 7), BILINEAR) and ((5, 3), BILINEAR) of picture(9, 5), by FNV-1a.
        let fnv = |bytes: &[u8]| {
            bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            })
        };
        let picture = picture(9, 5);
        let resized = |width, height| {
            let horizontal = Taps::new(9, width, 0..width);
            let view = View { horizontal, vertical: Taps::new(5, height, 0..height) };
            fnv(&resample(&picture, &view))
        };
        assert_eq!((resized(12, 7), resized(5, 3)), PILLOW);
    }

    const PILLOW: (u64, u64) = (0x3f00_346c_d5a2_0f68, 0xa300_e566_f49a_3e39);

    #[test]
    fn channels_are_reordered_or_mixed() {
        let picture = Picture::new(2, 1, vec![255, 0, 0, 10, 10, 10]).unwrap();
        let pixels =
            |channels| Preprocess { channels, ..Preprocess::default() }.pixels(&picture, 1, 2);
        assert_eq!(pixels(Channels::Rgb), [255, 0, 0, 10, 10, 10]);
        assert_eq!(pixels(Channels::Bgr), [0, 0, 255, 10, 10, 10]);
        assert_eq!(pixels(Channels::Grey), [76, 10]);
        for grey in 0..=255 {
            assert_eq!(luma([grey; 3]), grey);
        }
    }

    #[test]
    fn scalings_give_their_families_values() {
        let picture = Picture::new(1, 1, vec![255, 128, 0]).unwrap();
        let expect = |text: &str, expected: &[f32]| {
            let found = text.parse::<Preprocess>().unwrap().tensor_f32(&picture, 1, 1);
            assert_eq!(found.len(), expected.len(), "{text}");
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-5, "{text}: {found} {expected}");
            }
        };
        expect("raw", &[255.0, 128.0, 0.0]);
        expect("unit", &[1.0, 128.0 / 255.0, 0.0]);
        expect("tf", &[1.0, 128.0 / 127.5 - 1.0, -1.0]);
        let torch = [(1.0 - 0.485) / 0.229, (128.0 / 255.0 - 0.456) / 0.224, -0.406 / 0.225];
        expect("torch", &torch);
        expect("torch channels=bgr", &[torch[2], torch[1], torch[0]]);
        expect("caffe", &[-103.939, 128.0 - 116.779, 255.0 - 123.68]);
        expect("offset128", &[127.0 / 128.0, 0.0, -1.0]);
        expect("custom mean=1,2,3 std=2,4,8", &[127.0, 31.5, -0.375]);
        expect("unit channels=grey", &[151.0 / 255.0]);
    }

    #[test]
    fn the_text_form_is_stable_and_survives() {
        let lines = [
            ("tf", "scaling=tf crop=0.875 channels=rgb"),
            ("caffe", "scaling=caffe crop=0.875 channels=bgr"),
            ("crop=1 channels=grey scaling=unit", "scaling=unit crop=1 channels=grey"),
            ("", "scaling=raw crop=0.875 channels=rgb"),
            ("custom std=1,2,4.5", "scaling=custom crop=0.875 channels=rgb mean=0,0,0 std=1,2,4.5"),
        ];
        for (text, line) in lines {
            let preprocess: Preprocess = text.parse().unwrap();
            assert_eq!(preprocess.to_string(), line);
            assert_eq!(line.parse::<Preprocess>().unwrap(), preprocess);
            let json = serde_json::to_string(&preprocess).unwrap();
            assert_eq!(json, format!("{line:?}"));
            assert_eq!(serde_json::from_str::<Preprocess>(&json).unwrap(), preprocess);
        }
        for wrong in [
            "tg",
            "crop=0",
            "crop=1.5",
            "crop=NaN",
            "channels=cmyk",
            "a=b",
            "std=1,0,1",
            "mean=1,2",
            "mean=1,inf,2",
            "scaling=",
        ] {
            let error = wrong.parse::<Preprocess>().unwrap_err().to_string();
            assert!(error.contains(wrong) && error.contains("offset128"), "{error}");
        }
    }

    #[test]
    fn signed_pixels_are_turned_around() {
        let rule = "unit pixels=signed".parse::<Preprocess>().unwrap();
        assert_eq!(rule.to_string().parse(), Ok(rule));
        let picture = Picture::new(2, 1, vec![0x80, 0x80, 0x80, 0x7f, 0x7f, 0x7f]).unwrap();
        assert_eq!(rule.tensor_f32(&picture, 1, 2), [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
    }
}
