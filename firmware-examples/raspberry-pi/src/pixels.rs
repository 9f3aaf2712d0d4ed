//! From a camera's bytes to pixels.

use std::borrow::Cow;

/// Bytes of a pixel in YUYV: a luma each, and for every second pixel two chromas.
pub(crate) const YUYV_BYTES: usize = 2;

/// YUYV in the narrow range of ITU-R BT.601, which cameras send, as RGB8.
pub(crate) fn rgb(yuyv: &[u8]) -> Vec<u8> {
    let (pairs, _) = yuyv.as_chunks();
    pairs.iter().flat_map(|&[y0, u, y1, v]| [pixel(y0, u, v), pixel(y1, u, v)]).flatten().collect()
}

fn pixel(y: u8, u: u8, v: u8) -> [u8; 3] {
    // Factors of 1.164, 1.596, 0.392, 0.813 and 2.017 in steps of 1/256.
    let [y, u, v] = [(y, 16), (u, 128), (v, 128)].map(|(value, zero)| i32::from(value) - zero);
    let [red, green, blue] = [298 * y + 409 * v, 298 * y - 100 * u - 208 * v, 298 * y + 516 * u];
    [red, green, blue].map(|value| ((value + 128) >> 8).clamp(0, 255).to_le_bytes()[0])
}

/// Many cameras leave out the Huffman tables, which are the same in all of their frames. A segment
/// that says the picture is a video's makes the decoder take those.
pub(crate) fn with_tables(jpeg: &[u8]) -> Cow<'_, [u8]> {
    const TABLES: [u8; 2] = [0xff, 0xc4];
    const OF_A_VIDEO: &[u8] = b"\xff\xe0\0\x07AVI1\0";
    match jpeg.split_first_chunk::<2>() {
        Some((start, rest)) if !jpeg.windows(2).any(|bytes| bytes == TABLES) => {
            [start, OF_A_VIDEO, rest].concat().into()
        }
        _ => jpeg.into(),
    }
}

#[cfg(test)]
mod tests {
    use image::codecs::jpeg::JpegEncoder;
    use mote_convert::picture::Picture;

    use super::*;

    #[test]
    fn colours_are_those_of_the_standard() {
        for y in (0..=255).step_by(5) {
            for (u, v) in (0..=255).step_by(15).zip((0..=255).rev().step_by(15)) {
                let [luma, blue, red] = [(y, 16), (u, 128), (v, 128)]
                    .map(|(value, zero)| f64::from(value) - f64::from(zero));
                let (luma, blue, red) =
                    (luma * 255.0 / 219.0, blue * 255.0 / 224.0, red * 255.0 / 224.0);
                // Kr = 0.299, Kb = 0.114.
                let expected = [
                    luma + 1.402 * red,
                    luma - 0.344_136 * blue - 0.714_136 * red,
                    luma + 1.772 * blue,
                ];
                for (found, expected) in pixel(y, u, v).into_iter().zip(expected) {
                    let distance = f64::from(found) - expected.clamp(0.0, 255.0);
                    assert!(distance.abs() < 1.5, "{y} {u} {v}: {found} for {expected}");
                }
            }
        }
        assert_eq!(rgb(&[16, 128, 235, 128]), [0, 0, 0, 255, 255, 255]);
    }

    #[test]
    fn a_frame_without_tables_is_decoded_like_one_with() {
        let pixels: Vec<u8> = (0..32_u8 * 3).cycle().take(32 * 32 * 3).collect();
        let mut jpeg = Vec::new();
        JpegEncoder::new(&mut jpeg)
            .encode(&pixels, 32, 32, image::ExtendedColorType::Rgb8)
            .unwrap();
        let mut bare = jpeg.clone();
        while let Some(at) = bare.windows(2).position(|bytes| bytes == [0xff, 0xc4]) {
            let len = usize::from(u16::from_be_bytes([bare[at + 2], bare[at + 3]]));
            bare.drain(at..at + 2 + len);
        }
        assert!(bare.len() < jpeg.len() && Picture::decode(&bare).is_err());
        let expected = Picture::decode(&jpeg).unwrap();
        assert_eq!(Picture::decode(&with_tables(&bare)).unwrap(), expected);
        assert_eq!(with_tables(&jpeg), jpeg);
        assert!(with_tables(&[]).is_empty());
    }
}
