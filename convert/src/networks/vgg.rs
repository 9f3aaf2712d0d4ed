//! VGG: 3x3 convolutions and 2x2 pools; the layers of `keras.applications.VGG16` for every depth.

use super::Top;
use super::layers::{Conv, Layers, Norm, Pads};
use crate::graph::{Activation, GraphError, Op};

const FILTERS: [usize; 5] = [64, 128, 256, 512, 512];

/// Convolutions in each of the five blocks.
pub(super) fn convolutions(depth: u32) -> Option<[usize; 5]> {
    match depth {
        11 => Some([1, 1, 2, 2, 2]),
        13 => Some([2, 2, 2, 2, 2]),
        16 => Some([2, 2, 3, 3, 3]),
        19 => Some([2, 2, 4, 4, 4]),
        _ => None,
    }
}

pub(super) fn build(net: &mut Layers, depth: u32) -> Result<(), GraphError> {
    blocks(net, depth, |net, name, conv| {
        net.conv(name, Conv { bias: true, ..conv })?;
        net.relu(&format!("{name}/relu"))
    })?;
    let classes = match net.top {
        Top::Features(pooling) => return net.features(pooling),
        Top::Classes(classes) => classes,
    };
    net.add("flatten", Op::Flatten)?;
    for name in ["fc1", "fc2"] {
        net.dense(name, 4096, Activation::Relu)?;
        net.drop_out(0.0)?;
    }
    net.dense("predictions", classes, Activation::None)?;
    net.softmax("predictions")
}

pub(super) fn cifar(net: &mut Layers, depth: u32) -> Result<(), GraphError> {
    blocks(net, depth, |net, name, conv| {
        net.conv(name, conv)?;
        net.batch_norm(&format!("{name}_bn"), NORM)?;
        net.relu(&format!("{name}_relu"))
    })?;
    let classes = match net.top {
        Top::Features(pooling) => return net.features(pooling),
        Top::Classes(classes) => classes,
    };
    net.add("flatten", Op::Flatten)?;
    net.drop_out(0.5)?;
    net.dense("predictions", classes, Activation::None)?;
    net.softmax("predictions")
}

fn blocks(
    net: &mut Layers,
    depth: u32,
    layer: impl Fn(&mut Layers, &str, Conv) -> Result<(), GraphError>,
) -> Result<(), GraphError> {
    for (index, convolutions) in convolutions(depth).into_iter().flatten().enumerate() {
        let block = index + 1;
        for number in 1..=convolutions {
            let filters = FILTERS[index];
            let conv = Conv { filters, kernel: 3, stride: 1, pads: Pads::Same, bias: false };
            layer(net, &format!("block{block}_conv{number}"), conv)?;
        }
        net.max_pool(&format!("block{block}_pool"), 2, 2, Pads::Around(0))?;
    }
    Ok(())
}

const NORM: Norm = Norm { epsilon: 1e-3, momentum: 0.9 };
