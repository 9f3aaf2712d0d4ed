//! MobileNet V1 with the layers of `keras.applications.MobileNet`.

use super::Top;
use super::layers::{Conv, Layers, Norm, Pads};
use crate::graph::{BATCH_NORM_MOMENTUM, GraphError, Op, Padding, Shape};

/// Filters and stride of the depthwise separable blocks.
const BLOCKS: [(f32, usize); 13] = [
    (64.0, 1),
    (128.0, 2),
    (128.0, 1),
    (256.0, 2),
    (256.0, 1),
    (512.0, 2),
    (512.0, 1),
    (512.0, 1),
    (512.0, 1),
    (512.0, 1),
    (512.0, 1),
    (1024.0, 2),
    (1024.0, 1),
];

/// The same for 32x32 pictures: fewer blocks and strides, so that the last map is 4x4.
const CIFAR_BLOCKS: [(f32, usize); 8] = [
    (192.0, 1),
    (256.0, 2),
    (256.0, 1),
    (512.0, 2),
    (512.0, 1),
    (512.0, 1),
    (896.0, 2),
    (896.0, 1),
];

/// Keras' network.
pub(super) fn build(net: &mut Layers, alpha: f32) -> Result<(), GraphError> {
    stack(net, alpha, (32.0, 2), &BLOCKS)
}

/// The one for 32x32 pictures.
pub(super) fn cifar(net: &mut Layers, alpha: f32) -> Result<(), GraphError> {
    stack(net, alpha, (96.0, 1), &CIFAR_BLOCKS)
}

fn stack(
    net: &mut Layers,
    alpha: f32,
    stem: (f32, usize),
    blocks: &[(f32, usize)],
) -> Result<(), GraphError> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "alpha is positive and small"
    )]
    let filters = |filters: f32| ((filters * alpha) as usize).max(1);
    let conv =
        |filters, kernel, stride| Conv { filters, kernel, stride, pads: Pads::Same, bias: false };
    net.conv("conv1", conv(filters(stem.0), 3, stem.1))?;
    net.batch_norm("conv1_bn", NORM)?;
    net.relu6("conv1_relu")?;
    for (index, &(width, stride)) in blocks.iter().enumerate() {
        let id = index + 1;
        let pads = if stride == 1 {
            Pads::Same
        } else {
            let padding = Padding { bottom: 1, right: 1, ..Padding::NONE };
            net.pad(&format!("conv_pad_{id}"), padding)?;
            Pads::Around(0)
        };
        net.depthwise(&format!("conv_dw_{id}"), stride, pads)?;
        net.batch_norm(&format!("conv_dw_{id}_bn"), NORM)?;
        net.relu6(&format!("conv_dw_{id}_relu"))?;
        net.conv(&format!("conv_pw_{id}"), conv(filters(width), 1, 1))?;
        net.batch_norm(&format!("conv_pw_{id}_bn"), NORM)?;
        net.relu6(&format!("conv_pw_{id}_relu"))?;
    }
    let classes = match net.top {
        Top::Features(pooling) => return net.features(pooling),
        Top::Classes(classes) => classes,
    };
    net.add("global_average_pooling2d", Op::GlobalAvgPool { keep_axes: true })?;
    net.drop_out(1e-3)?;
    net.conv("conv_preds", Conv { bias: true, ..conv(classes, 1, 1) })?;
    net.add("reshape_2", Op::Reshape(Shape::Vector(classes)))?;
    net.add("predictions", Op::Softmax { beta: 1.0 })
}

const NORM: Norm = Norm { epsilon: 1e-3, momentum: BATCH_NORM_MOMENTUM };
