//! MobileNet V2 with the layers of `keras.applications.MobileNetV2`.

use super::layers::{Conv, Layers, Norm, Pads};
use crate::graph::{GraphError, Padding};

/// Expansion, filters, blocks and first stride of each stage.
const STAGES: [(usize, f32, usize, usize); 7] = [
    (1, 16.0, 1, 1),
    (6, 24.0, 2, 2),
    (6, 32.0, 3, 2),
    (6, 64.0, 4, 2),
    (6, 96.0, 3, 1),
    (6, 160.0, 3, 2),
    (6, 320.0, 1, 1),
];

pub(super) fn build(net: &mut Layers, alpha: f32) -> Result<(), GraphError> {
    net.conv("Conv1", Conv { stride: 2, kernel: 3, ..point(divisible(32.0 * alpha)) })?;
    net.batch_norm("bn_Conv1", NORM)?;
    net.relu6("Conv1_relu")?;
    let mut id = 0;
    for (expansion, width, blocks, first_stride) in STAGES {
        let filters = divisible((width * alpha).floor());
        for block in 0..blocks {
            let stride = if block == 0 { first_stride } else { 1 };
            self::block(net, id, expansion, filters, stride)?;
            id += 1;
        }
    }
    // A narrow network keeps its wide last layer.
    net.conv("Conv_1", point(divisible(1280.0 * alpha.max(1.0))))?;
    net.batch_norm("Conv_1_bn", NORM)?;
    net.relu6("out_relu")?;
    net.classifier("global_average_pooling2d", 0.0, "predictions")
}

/// An inverted residual: expand, depthwise, project.
fn block(
    net: &mut Layers,
    id: usize,
    expansion: usize,
    filters: usize,
    stride: usize,
) -> Result<(), GraphError> {
    let (start, inputs) = (net.last(), net.channels());
    let prefix = if id == 0 { "expanded_conv".to_owned() } else { format!("block_{id}") };
    let name = |layer: &str| format!("{prefix}_{layer}");
    if id > 0 {
        net.conv(&name("expand"), point(expansion * inputs))?;
        net.batch_norm(&name("expand_BN"), NORM)?;
        net.relu6(&name("expand_relu"))?;
    }
    let pads = if stride == 1 {
        Pads::Same
    } else {
        let extent = net.shape().extent();
        let padding =
            Padding { top: extent.height % 2, bottom: 1, left: extent.width % 2, right: 1 };
        net.pad(&name("pad"), padding)?;
        Pads::Around(0)
    };
    net.depthwise(&name("depthwise"), stride, pads)?;
    net.batch_norm(&name("depthwise_BN"), NORM)?;
    net.relu6(&name("depthwise_relu"))?;
    net.conv(&name("project"), point(filters))?;
    net.batch_norm(&name("project_BN"), NORM)?;
    if stride == 1 && inputs == filters {
        net.sum(&name("add"), start)?;
    }
    Ok(())
}

fn point(filters: usize) -> Conv {
    Conv { filters, kernel: 1, stride: 1, pads: Pads::Same, bias: false }
}

/// The multiple of 8 nearest to `channels`, but not below 90 % of it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "channels are few"
)]
fn divisible(channels: f32) -> usize {
    let nearest = ((channels + 4.0) as usize / 8 * 8).max(8);
    if (nearest as f32) < 0.9 * channels { nearest + 8 } else { nearest }
}

const NORM: Norm = Norm { epsilon: 1e-3, momentum: 0.999 };
