//! Windows: every way in which ONNX states padding, made explicit.

use super::OnnxError;
use super::site::Site;
use crate::graph::{Extent, Padding, ShapeError, Window};

/// What slides over an input of this extent.
pub(super) fn window(
    site: &Site<'_>,
    input: Extent,
    kernel: [usize; 2],
) -> Result<Window, OnnxError> {
    let extent = |[height, width]: [usize; 2]| Extent { height, width };
    let [kernel, stride, dilation] =
        [kernel, site.sizes("strides", [1; 2])?, site.sizes("dilations", [1; 2])?].map(extent);
    let valid = Window::valid(kernel, stride, dilation);
    let odd = |error: ShapeError| site.usage(error.to_string());
    let same = || Window::same(input, kernel, stride, dilation).map_err(odd);
    let window = match site.text("auto_pad") {
        None | Some("" | "NOTSET") => {
            let [top, left, bottom, right] = site.sizes("pads", [0; 4])?;
            Window { padding: Padding { top, bottom, left, right }, ..valid }
        }
        Some("VALID") => valid,
        Some("SAME_UPPER") => same()?,
        Some("SAME_LOWER") => {
            let window = same()?;
            let Padding { top, bottom, left, right } = window.padding;
            let padding = Padding { top: bottom, bottom: top, left: right, right: left };
            Window { padding, ..window }
        }
        Some(other) => {
            let supported = "NOTSET, VALID, SAME_UPPER and SAME_LOWER";
            return Err(site.usage(format!("`auto_pad` {other}; {supported} are supported")));
        }
    };
    if site.int("ceil_mode", 0) == 0 {
        return Ok(window);
    }
    ceiled(&window, input).map_err(odd)
}

/// The window with as much padding below and to the right as an output size that is rounded up needs; a window that
/// would start beyond the input does not count.
fn ceiled(window: &Window, input: Extent) -> Result<Window, ShapeError> {
    let (reach, stride) = (window.reach()?, window.stride);
    window.output(input)?;
    let after = |input: usize, before: usize, after: usize, reach: usize, stride: usize| {
        let span = input + before + after - reach;
        let last = (span.div_ceil(stride) * stride).min((input + before - 1) / stride * stride);
        (last + reach).saturating_sub(input + before)
    };
    let Padding { top, bottom, left, right } = window.padding;
    let padding = Padding {
        top,
        bottom: after(input.height, top, bottom, reach.height, stride.height),
        left,
        right: after(input.width, left, right, reach.width, stride.width),
    };
    Ok(Window { padding, ..*window })
}
