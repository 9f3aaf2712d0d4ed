//! Augmentation: pictures changed at random in ways that keep their class.
//!
//! What a picture becomes depends on the seed, the epoch and its place in the data set, and on
//! nothing else: not on threads, nor on the order in which pictures are asked for.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::picture::Picture;
use crate::preprocess::{Preprocess, luma, resize};
use crate::random::SplitMix;

/// Which changes are made. As text: `flip,crop,colour,cutout`, any of them, or `none`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Augment {
    /// The mirror image, half of the time.
    pub flip: bool,
    /// Of a picture of the network's size: padded by an eighth and cut at random. Of any other:
    /// 40 to 100 % of its area, up to 4:3 distorted.
    pub crop: bool,
    /// Brightness, contrast and saturation between 0.8 and 1.2.
    pub colour: bool,
    /// A square of a third of the shorter side is painted in the mean colour.
    pub cutout: bool,
}

/// Which variant of a picture is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// The seed of the run.
    pub seed: u64,
    /// The epoch.
    pub epoch: u64,
    /// The sample's place in the data set.
    pub index: u64,
}

impl Augment {
    /// Nothing is changed.
    pub const NONE: Self = Self { flip: false, crop: false, colour: false, cutout: false };

    /// Whether nothing is changed.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// How many variants of a picture features are computed of, where they are kept: the picture,
    /// and its mirror image if that is all there is, else three variants more.
    #[must_use]
    pub fn views(self) -> usize {
        match self {
            Self::NONE => 1,
            Self { flip: true, crop: false, colour: false, cutout: false } => 2,
            _ => 4,
        }
    }

    /// A variant of the picture, in the network's size.
    #[must_use]
    pub fn apply(
        self,
        picture: &Picture,
        preprocess: &Preprocess,
        (height, width): (u32, u32),
        draw: Draw,
    ) -> Picture {
        let mut random = SplitMix::of(&[draw.seed, draw.epoch, draw.index]);
        let mut canvas = if self.crop {
            crop(picture, (height, width), &mut random)
        } else {
            Canvas::new(preprocess.geometry(picture, height, width), height, width)
        };
        if self.flip && random.below(2) == 1 {
            canvas.flip();
        }
        if self.colour {
            canvas.colour(&mut random);
        }
        if self.cutout {
            canvas.cut_out(&mut random);
        }
        canvas.picture()
    }

    /// Variant `view` of [`Augment::views`]: the first is the picture as it is.
    #[must_use]
    pub fn view(
        self,
        picture: &Picture,
        preprocess: &Preprocess,
        (height, width): (u32, u32),
        view: usize,
        draw: Draw,
    ) -> Picture {
        if view > 0 && self.views() != 2 {
            let draw = Draw { epoch: view as u64, ..draw };
            return self.apply(picture, preprocess, (height, width), draw);
        }
        let mut canvas = Canvas::new(preprocess.geometry(picture, height, width), height, width);
        if view == 1 {
            canvas.flip();
        }
        canvas.picture()
    }
}

impl FromStr for Augment {
    type Err = AugmentError;

    fn from_str(text: &str) -> Result<Self, AugmentError> {
        let mut augment = Self::NONE;
        for name in text.split(',').map(str::trim).filter(|&name| name != "none") {
            *match name {
                "flip" => &mut augment.flip,
                "crop" => &mut augment.crop,
                "colour" | "color" => &mut augment.colour,
                "cutout" => &mut augment.cutout,
                _ => return Err(AugmentError(name.into())),
            } = true;
        }
        Ok(augment)
    }
}

impl From<Augment> for String {
    fn from(augment: Augment) -> Self {
        augment.to_string()
    }
}

impl TryFrom<String> for Augment {
    type Error = AugmentError;

    fn try_from(text: String) -> Result<Self, AugmentError> {
        text.parse()
    }
}

impl fmt::Display for Augment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.flip, "flip"),
            (self.crop, "crop"),
            (self.colour, "colour"),
            (self.cutout, "cutout"),
        ];
        let names: Vec<&str> = all.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
        f.write_str(&if names.is_empty() { "none".to_owned() } else { names.join(",") })
    }
}

/// An augmentation that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("augmentation `{0}` is not known; there are flip, crop, colour, cutout, or none")]
pub struct AugmentError(String);

/// A picture at work: `[height, width, 3]`.
struct Canvas {
    pixels: Vec<[u8; 3]>,
    height: u32,
    width: u32,
}

impl Canvas {
    fn new(rgb: Vec<u8>, height: u32, width: u32) -> Self {
        let (pixels, _) = rgb.as_chunks();
        Self { pixels: pixels.to_vec(), height, width }
    }

    fn picture(self) -> Picture {
        let (width, height) = (self.width, self.height);
        Picture::new(width, height, self.pixels.into_flattened()).expect("the pixels fill it")
    }

    fn flip(&mut self) {
        self.pixels.chunks_exact_mut(self.width as usize).for_each(<[_]>::reverse);
    }

    /// Brightness, then contrast around the mean luma, then saturation around each pixel's luma.
    fn colour(&mut self, random: &mut SplitMix) {
        let [brightness, contrast, saturation] = [(); 3].map(|()| random.between(0.8, 1.2));
        let total: u64 = self.pixels.iter().map(|&pixel| u64::from(luma(pixel))).sum();
        #[expect(clippy::cast_precision_loss, reason = "a mean of bytes")]
        let mean = total as f32 / self.pixels.len() as f32 * brightness;
        for pixel in &mut self.pixels {
            let channels =
                pixel.map(|channel| (f32::from(channel) * brightness - mean) * contrast + mean);
            let [red, green, blue] = channels;
            let grey = 0.299 * red + 0.587 * green + 0.114 * blue;
            *pixel = channels.map(|channel| byte(grey + (channel - grey) * saturation));
        }
    }

    /// The square's centre may be anywhere, so it may hang over the edge.
    fn cut_out(&mut self, random: &mut SplitMix) {
        let mut sums = [0_u64; 3];
        for pixel in &self.pixels {
            sums.iter_mut().zip(pixel).for_each(|(sum, &channel)| *sum += u64::from(channel));
        }
        let count = self.pixels.len() as u64;
        let mean = sums.map(|sum| u8::try_from(sum / count).unwrap_or(u8::MAX));
        let side = (self.height.min(self.width) / 3).max(1);
        let mut span = |size: u32| {
            let centre = u32::try_from(random.below(size.into())).unwrap_or(0);
            let first = centre.saturating_sub(side / 2);
            first as usize..(centre + side - side / 2).min(size) as usize
        };
        let (rows, columns) = (span(self.height), span(self.width));
        for row in self.pixels.chunks_exact_mut(self.width as usize).take(rows.end).skip(rows.start)
        {
            row[columns.clone()].fill(mean);
        }
    }
}

fn crop(picture: &Picture, (height, width): (u32, u32), random: &mut SplitMix) -> Canvas {
    let upto =
        |end: u32, random: &mut SplitMix| u32::try_from(random.below(end.into())).unwrap_or(0);
    if (picture.height(), picture.width()) == (height, width) {
        let pad = (height.min(width) / 8).max(1);
        let (top, left) = (upto(2 * pad + 1, random), upto(2 * pad + 1, random));
        return shifted(picture, i64::from(top) - i64::from(pad), i64::from(left) - i64::from(pad));
    }
    const ATTEMPTS: usize = 10;
    #[expect(clippy::cast_precision_loss, reason = "sides are at most 2^15")]
    let (rows, columns) = (picture.height() as f32, picture.width() as f32);
    #[expect(clippy::cast_precision_loss, reason = "sides are at most 2^15")]
    let wanted = width as f32 / height as f32;
    for _ in 0..ATTEMPTS {
        let area = rows * columns * random.between(0.4, 1.0);
        // Evenly distributed in the logarithm: as often too wide as too high.
        let aspect = wanted * random.between(-LOG_DISTORTION, LOG_DISTORTION).exp();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let side = |size: f32| size.round().max(1.0) as u32;
        let (cut_width, cut_height) = (side((area * aspect).sqrt()), side((area / aspect).sqrt()));
        if cut_width <= picture.width() && cut_height <= picture.height() {
            let top = upto(picture.height() - cut_height + 1, random);
            let left = upto(picture.width() - cut_width + 1, random);
            let part = cut(picture, top, left, cut_height, cut_width);
            return Canvas::new(resize(&part, height, width), height, width);
        }
    }
    Canvas::new(
        Preprocess { crop: 1.0, ..Preprocess::default() }.geometry(picture, height, width),
        height,
        width,
    )
}

/// `ln(4 / 3)`.
const LOG_DISTORTION: f32 = 0.287_682_07;

fn cut(picture: &Picture, top: u32, left: u32, height: u32, width: u32) -> Picture {
    let row = picture.width() as usize * 3;
    let columns = left as usize * 3..(left + width) as usize * 3;
    let rows = picture.rgb().chunks_exact(row).skip(top as usize).take(height as usize);
    let rgb = rows.flat_map(|row| &row[columns.clone()]).copied().collect();
    Picture::new(width, height, rgb).expect("a part of a picture")
}

/// The picture moved up and to the left; black comes in.
fn shifted(picture: &Picture, top: i64, left: i64) -> Canvas {
    let (height, width) = (picture.height(), picture.width());
    let (pixels, _) = picture.rgb().as_chunks::<3>();
    let at = |row: i64, column: i64| {
        let row = u32::try_from(row).ok().filter(|&row| row < height)?;
        let column = u32::try_from(column).ok().filter(|&column| column < width)?;
        pixels.get(row as usize * width as usize + column as usize).copied()
    };
    let places = (0..i64::from(height)).flat_map(|y| (0..i64::from(width)).map(move |x| (y, x)));
    let pixels = places.map(|(y, x)| at(y + top, x + left).unwrap_or_default()).collect();
    Canvas { pixels, height, width }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn byte(value: f32) -> u8 {
    value.round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::iter::{IntoParallelIterator, ParallelIterator};

    const ALL: Augment = Augment { flip: true, crop: true, colour: true, cutout: true };

    fn picture(width: u32, height: u32) -> Picture {
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let rgb = places.flat_map(|(x, y)| [x * 3, y * 5, (x ^ y) * 7].map(|v| v.to_le_bytes()[0]));
        Picture::new(width, height, rgb.collect()).unwrap()
    }

    fn draw(epoch: u64, index: u64) -> Draw {
        Draw { seed: 7, epoch, index }
    }

    #[test]
    fn text_names_the_changes() {
        for text in ["none", "flip", "flip,crop,colour,cutout", "cutout"] {
            assert_eq!(text.parse::<Augment>().unwrap().to_string(), text);
        }
        assert_eq!("crop, color".parse(), "crop,colour".parse::<Augment>());
        let error = "flip,blur".parse::<Augment>().unwrap_err().to_string();
        assert!(error.contains("blur") && error.contains("cutout"), "{error}");
    }

    #[test]
    fn depends_on_seed_epoch_and_index_only() {
        let source = picture(60, 40);
        let rule = Preprocess::default();
        let make = |draw| ALL.apply(&source, &rule, (32, 32), draw);
        let serial: Vec<Picture> = (0..32).map(|index| make(draw(1, index))).collect();
        let parallel: Vec<Picture> =
            (0..32_u64).into_par_iter().map(|index| make(draw(1, index))).collect();
        assert_eq!(serial, parallel);
        assert!(serial.iter().all(|p| (p.height(), p.width()) == (32, 32)));
        assert_ne!(make(draw(1, 0)), make(draw(2, 0)));
        assert_ne!(make(draw(1, 0)), make(draw(1, 1)));
        assert_ne!(make(draw(1, 0)), make(Draw { seed: 8, ..draw(1, 0) }));
    }

    #[test]
    fn a_flip_is_the_mirror_image_half_of_the_time() {
        let source = picture(32, 32);
        let rule = Preprocess::default();
        let flip = Augment { flip: true, ..Augment::NONE };
        let mirror = flip.view(&source, &rule, (32, 32), 1, draw(0, 0));
        assert_eq!(mirror.rgb()[..3], source.rgb()[31 * 3..32 * 3]);
        assert_eq!(flip.view(&source, &rule, (32, 32), 0, draw(0, 0)), source);
        let made = |index| flip.apply(&source, &rule, (32, 32), draw(0, index));
        let flipped = (0..200).filter(|&index| made(index) == mirror).count();
        assert!((70..130).contains(&flipped), "{flipped}");
        assert!((0..200).all(|index| made(index) == mirror || made(index) == source));
    }

    #[test]
    fn small_pictures_are_padded_and_photos_resized() {
        let crop = Augment { crop: true, ..Augment::NONE };
        let rule = Preprocess::default();
        let small = picture(32, 32);
        let shifts: Vec<Picture> =
            (0..50).map(|index| crop.apply(&small, &rule, (32, 32), draw(0, index))).collect();
        // A pixel of the middle is found within four pixels of its place, in every variant.
        let middle = &small.rgb()[(16 * 32 + 16) * 3..][..3];
        for shift in &shifts {
            let near = (12..=20).flat_map(|y| (12..=20).map(move |x| (y * 32 + x) * 3));
            assert!(near.into_iter().any(|at| &shift.rgb()[at..at + 3] == middle));
        }
        // Of one colour, a photo stays of one colour: nothing is padded.
        let plain = Picture::new(90, 50, vec![77; 90 * 50 * 3]).unwrap();
        for index in 0..20 {
            let made = crop.apply(&plain, &rule, (32, 48), draw(0, index));
            assert_eq!((made.height(), made.width()), (32, 48));
            assert!(made.rgb().iter().all(|&value| value == 77));
        }
    }

    #[test]
    fn cutout_paints_a_square_and_colour_keeps_grey_grey() {
        let source = picture(30, 30);
        let rule = Preprocess::default();
        let cutout = Augment { cutout: true, ..Augment::NONE };
        for index in 0..20 {
            let made = cutout.apply(&source, &rule, (30, 30), draw(0, index));
            let pairs = made.rgb().chunks(3).zip(source.rgb().chunks(3));
            let changed: Vec<&[u8]> = pairs.filter(|(a, b)| a != b).map(|(a, _)| a).collect();
            assert!((1..=100).contains(&changed.len()), "{}", changed.len());
            assert!(changed.iter().all(|&pixel| pixel == changed[0]));
        }
        let grey = Picture::new(4, 1, [10, 100, 150, 200].map(|v| [v; 3]).concat()).unwrap();
        let colour = Augment { colour: true, ..Augment::NONE };
        let made = colour.apply(&grey, &rule, (1, 4), draw(0, 3));
        assert!(made.rgb().chunks(3).all(|p| p[0] == p[1] && p[1] == p[2]));
        assert_ne!(made, grey);
    }
}
