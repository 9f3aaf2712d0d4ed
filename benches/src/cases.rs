//! The shapes: layers of MobileNetV1, MobileNetV2, ResNet-8, ResNet50, VGG16 and the MLPerf Tiny
//! networks, small and large ones of every family.

use mote_kernels::{Geometry, Shape, ShapeError, Window};

/// One layer of a network.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Network and layer.
    pub name: &'static str,
    /// What it computes.
    pub op: Op,
}

/// An operation and its shape.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    /// Height and width of the input, input channels, output channels, kernel, stride.
    Conv([usize; 2], usize, usize, [usize; 2], usize),
    /// Pixels, input channels, output channels.
    Pointwise(usize, usize, usize),
    /// Height and width, channels, stride; 3x3.
    Depthwise(usize, usize, usize),
    /// Inputs, outputs.
    FullyConnected(usize, usize),
    /// Values.
    Add(usize),
    /// Height and width, channels, kernel, stride.
    AvgPool(usize, usize, usize, usize),
    /// Height and width, channels, kernel, stride.
    MaxPool(usize, usize, usize, usize),
    /// Pixels, channels.
    GlobalAvgPool(usize, usize),
    /// Classes.
    Softmax(usize),
    /// Height and width, channels; one all around.
    Pad(usize, usize),
    /// Values.
    Clamp(usize),
    /// Values.
    Lookup(usize),
}

use Op::{
    Add, AvgPool, Clamp, Conv, Depthwise, FullyConnected, GlobalAvgPool, Lookup, MaxPool, Pad,
    Pointwise, Softmax,
};

const fn case(name: &'static str, op: Op) -> Case {
    Case { name, op }
}

/// All of them.
pub const CASES: &[Case] = &[
    case("vww/conv0 3-8 s2", Conv([96, 96], 3, 8, [3, 3], 2)),
    case("mobilenet/conv0 3-32 s2", Conv([224, 224], 3, 32, [3, 3], 2)),
    case("resnet8/conv0 3-16", Conv([32, 32], 3, 16, [3, 3], 1)),
    case("kws/conv0 1-64 10x4 s2", Conv([49, 10], 1, 64, [10, 4], 2)),
    case("resnet50/conv0 3-64 7x7 s2", Conv([224, 224], 3, 64, [7, 7], 2)),
    case("resnet8/conv 16-16", Conv([32, 32], 16, 16, [3, 3], 1)),
    case("resnet8/conv 32-32", Conv([16, 16], 32, 32, [3, 3], 1)),
    case("resnet8/conv 64-64", Conv([8, 8], 64, 64, [3, 3], 1)),
    case("resnet50/conv 64-64", Conv([56, 56], 64, 64, [3, 3], 1)),
    case("resnet50/conv 256-256", Conv([14, 14], 256, 256, [3, 3], 1)),
    case("resnet50/conv 512-512", Conv([7, 7], 512, 512, [3, 3], 1)),
    case("vgg16/conv 128-128", Conv([112, 112], 128, 128, [3, 3], 1)),
    case("vww/pw 8-16", Pointwise(2304, 8, 16)),
    case("vww/pw 64-64", Pointwise(144, 64, 64)),
    case("vww/pw 256-256", Pointwise(9, 256, 256)),
    case("mobilenetv2/pw 32-16", Pointwise(112 * 112, 32, 16)),
    case("mobilenetv2/pw 144-24", Pointwise(56 * 56, 144, 24)),
    case("mobilenetv1/pw 128-128", Pointwise(56 * 56, 128, 128)),
    case("mobilenetv1/pw 512-512", Pointwise(14 * 14, 512, 512)),
    case("mobilenetv1/pw 1024-1024", Pointwise(7 * 7, 1024, 1024)),
    case("vww/dw 8", Depthwise(48, 8, 1)),
    case("vww/dw 64 s2", Depthwise(12, 64, 2)),
    case("kws/dw 64", Depthwise(25, 64, 1)),
    case("mobilenetv1/dw 64 s2", Depthwise(112, 64, 2)),
    case("mobilenetv1/dw 128", Depthwise(56, 128, 1)),
    case("mobilenetv1/dw 512", Depthwise(14, 512, 1)),
    case("mobilenetv2/dw 144", Depthwise(56, 144, 1)),
    case("resnet8/fc 64-10", FullyConnected(64, 10)),
    case("mobilenetv1/fc 1024-1000", FullyConnected(1024, 1000)),
    case("resnet8/add", Add(32 * 32 * 16)),
    case("resnet50/add", Add(28 * 28 * 512)),
    case("resnet8/avg_pool 8x8", AvgPool(8, 64, 8, 1)),
    case("vgg16/max_pool 2x2", MaxPool(112, 128, 2, 2)),
    case("resnet50/max_pool 3x3", MaxPool(112, 64, 3, 2)),
    case("mobilenetv1/gap", GlobalAvgPool(49, 1024)),
    case("mobilenetv1/softmax", Softmax(1000)),
    case("mobilenet/pad", Pad(112, 64)),
    case("resnet50/clamp", Clamp(28 * 28 * 512)),
    case("mobilenetv3/lookup", Lookup(28 * 28 * 120)),
];

impl Case {
    /// Multiply-accumulates; for a family without, the values it writes.
    #[must_use]
    pub fn macs(&self) -> u64 {
        let count = match self.op {
            Conv(_, inputs, _, [height, width], _) => self.outputs() * inputs * height * width,
            Pointwise(_, depth, _) => self.outputs() * depth,
            Depthwise(..) => self.outputs() * 9,
            FullyConnected(depth, _) => self.outputs() * depth,
            AvgPool(_, _, kernel, _) | MaxPool(_, _, kernel, _) => self.outputs() * kernel * kernel,
            GlobalAvgPool(pixels, _) => self.outputs() * pixels,
            Add(_) | Softmax(_) | Pad(..) | Clamp(_) | Lookup(_) => self.outputs(),
        };
        count as u64
    }

    fn outputs(&self) -> usize {
        if let Some(geometry) = self.geometry() {
            return geometry.output().pixels() * geometry.output().channels;
        }
        match self.op {
            Pointwise(pixels, _, outputs) => pixels * outputs,
            FullyConnected(_, outputs) | GlobalAvgPool(_, outputs) => outputs,
            Pad(extent, channels) => (extent + 2) * (extent + 2) * channels,
            Add(len) | Softmax(len) | Clamp(len) | Lookup(len) => len,
            Conv(..) | Depthwise(..) | AvgPool(..) | MaxPool(..) => 0,
        }
    }

    /// The window of a family that has one, padded to keep the extent (convolutions) or not at
    /// all (pools).
    #[must_use]
    pub fn geometry(&self) -> Option<Geometry> {
        let geometry = match self.op {
            Conv([height, width], inputs, outputs, kernel, stride) => {
                same(Shape::new(height, width, inputs), outputs, kernel, stride)
            }
            Depthwise(extent, channels, stride) => {
                same(Shape::new(extent, extent, channels), channels, [3, 3], stride)
            }
            AvgPool(extent, channels, kernel, stride)
            | MaxPool(extent, channels, kernel, stride) => {
                let output = (extent - kernel) / stride + 1;
                Geometry::new(
                    Shape::new(extent, extent, channels),
                    Shape::new(output, output, channels),
                    Window {
                        kernel_height: kernel,
                        kernel_width: kernel,
                        stride_height: stride,
                        stride_width: stride,
                        ..Window::UNIT
                    },
                )
            }
            _ => return None,
        };
        geometry.ok()
    }
}

/// Padding as Keras and TensorFlow call `same`.
fn same(
    input: Shape,
    outputs: usize,
    [kernel_height, kernel_width]: [usize; 2],
    stride: usize,
) -> Result<Geometry, ShapeError> {
    let output = Shape::new(input.height.div_ceil(stride), input.width.div_ceil(stride), outputs);
    let pad = |input: usize, output: usize, kernel: usize| {
        ((output - 1) * stride + kernel).saturating_sub(input) / 2
    };
    let window = Window {
        kernel_height,
        kernel_width,
        stride_height: stride,
        stride_width: stride,
        pad_top: pad(input.height, output.height, kernel_height),
        pad_left: pad(input.width, output.width, kernel_width),
        ..Window::UNIT
    };
    Geometry::new(input, output, window)
}
