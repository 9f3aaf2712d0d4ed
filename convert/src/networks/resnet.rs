//! ResNets: shortcuts are the identity, and a 1x1 convolution with batch norm where the shape changes.

use super::layers::{Conv, Layers, Norm, Pads};
use crate::graph::{BATCH_NORM_MOMENTUM, GraphError};

/// ResNet-18 and ResNet-34 with torchvision's layers.
pub(super) fn basic(net: &mut Layers, depth: u32) -> Result<(), GraphError> {
    let blocks = if depth == 18 { [2, 2, 2, 2] } else { [3, 4, 6, 3] };
    net.conv("conv1", Conv { pads: Pads::Around(3), ..conv(64, 7, 2) })?;
    net.batch_norm("bn1", NORM)?;
    net.relu("relu")?;
    net.max_pool("maxpool", 3, 2, Pads::Around(1))?;
    stages(net, &[(64, blocks[0]), (128, blocks[1]), (256, blocks[2]), (512, blocks[3])])?;
    net.classifier("avgpool", 0.0, "fc")
}

/// ResNets for 32x32 pictures: three stages of `(depth - 2) / 6` blocks.
pub(super) fn cifar(net: &mut Layers, depth: u32) -> Result<(), GraphError> {
    let blocks = (depth - 2) / 6;
    net.conv("conv1", conv(16, 3, 1))?;
    net.batch_norm("bn1", NORM)?;
    net.relu("relu")?;
    stages(net, &[(16, blocks), (32, blocks), (64, blocks)])?;
    net.classifier("avgpool", 0.0, "fc")
}

/// Stages of basic blocks; all but the first halve the map.
fn stages(net: &mut Layers, stages: &[(usize, u32)]) -> Result<(), GraphError> {
    for (stage, &(filters, blocks)) in stages.iter().enumerate() {
        for block in 0..blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            basic_block(net, &format!("layer{}.{block}", stage + 1), filters, stride)?;
        }
    }
    Ok(())
}

fn basic_block(
    net: &mut Layers,
    prefix: &str,
    filters: usize,
    stride: usize,
) -> Result<(), GraphError> {
    let name = |layer: &str| format!("{prefix}.{layer}");
    let start = net.last();
    let is_same = stride == 1 && net.channels() == filters;
    net.conv(&name("conv1"), conv(filters, 3, stride))?;
    net.batch_norm(&name("bn1"), NORM)?;
    net.relu(&name("relu1"))?;
    net.conv(&name("conv2"), conv(filters, 3, 1))?;
    net.batch_norm(&name("bn2"), NORM)?;
    let shortcut = if is_same {
        start
    } else {
        let end = net.last();
        net.go_to(start);
        net.conv(&name("downsample.0"), conv(filters, 1, stride))?;
        net.batch_norm(&name("downsample.1"), NORM)?;
        let shortcut = net.last();
        net.go_to(end);
        shortcut
    };
    net.sum(&name("add"), shortcut)?;
    net.relu(&name("relu2"))
}

fn conv(filters: usize, kernel: usize, stride: usize) -> Conv {
    Conv { filters, kernel, stride, pads: Pads::Around(kernel / 2), bias: false }
}

/// ResNet-50 with the layers of `keras.applications.ResNet50`.
pub(super) fn bottleneck(net: &mut Layers) -> Result<(), GraphError> {
    let around = |n| crate::graph::Padding { top: n, bottom: n, left: n, right: n };
    net.pad("conv1_pad", around(3))?;
    net.conv("conv1_conv", Conv { kernel: 7, ..biased(64, 2) })?;
    net.batch_norm("conv1_bn", KERAS_NORM)?;
    net.relu("conv1_relu")?;
    net.pad("pool1_pad", around(1))?;
    net.max_pool("pool1_pool", 3, 2, Pads::Around(0))?;
    for (stage, filters, blocks) in [(2, 64, 3), (3, 128, 4), (4, 256, 6), (5, 512, 3)] {
        for block in 1..=blocks {
            let stride = if stage > 2 && block == 1 { 2 } else { 1 };
            bottleneck_block(net, &format!("conv{stage}_block{block}"), filters, stride)?;
        }
    }
    net.classifier("avg_pool", 0.0, "predictions")
}

fn bottleneck_block(
    net: &mut Layers,
    prefix: &str,
    filters: usize,
    stride: usize,
) -> Result<(), GraphError> {
    let name = |layer: &str| format!("{prefix}_{layer}");
    let start = net.last();
    let shortcut = if net.channels() == 4 * filters {
        start
    } else {
        net.conv(&name("0_conv"), biased(4 * filters, stride))?;
        net.batch_norm(&name("0_bn"), KERAS_NORM)?;
        net.last()
    };
    net.go_to(start);
    net.conv(&name("1_conv"), biased(filters, stride))?;
    net.batch_norm(&name("1_bn"), KERAS_NORM)?;
    net.relu(&name("1_relu"))?;
    net.conv(&name("2_conv"), Conv { kernel: 3, pads: Pads::Same, ..biased(filters, 1) })?;
    net.batch_norm(&name("2_bn"), KERAS_NORM)?;
    net.relu(&name("2_relu"))?;
    net.conv(&name("3_conv"), biased(4 * filters, 1))?;
    net.batch_norm(&name("3_bn"), KERAS_NORM)?;
    net.sum(&name("add"), shortcut)?;
    net.relu(&name("out"))
}

fn biased(filters: usize, stride: usize) -> Conv {
    Conv { filters, kernel: 1, stride, pads: Pads::Around(0), bias: true }
}

const NORM: Norm = Norm { epsilon: 1e-5, momentum: 0.9 };
const KERAS_NORM: Norm = Norm { epsilon: 1.001e-5, momentum: BATCH_NORM_MOMENTUM };
