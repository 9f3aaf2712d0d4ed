//! Shape inference: the only place that knows what a layer makes of its input's shape, and what parameters it needs.

use super::{Activation, Extent, Op, Param, Shape, ShapeError, Window};

/// Output shape of `op` over operands of these shapes; `None` for the input, which has to be told.
pub(super) fn infer(op: &Op, inputs: &[Shape]) -> Result<Option<Shape>, ShapeError> {
    if inputs.len() != op.arity() {
        return Err(ShapeError::Arity { expected: op.arity(), found: inputs.len() });
    }
    let Some(&input) = inputs.first() else { return Ok(None) };
    if let Some(activation) = op.activation() {
        check_activation(activation)?;
    }
    for param in op.params() {
        param.check()?;
    }
    let shape = match op {
        Op::Input => return Ok(None),
        Op::Conv { filter, bias, window, .. } => {
            let outputs = match filter.shape[..] {
                [outputs, height, width, depth]
                    if (height, width) == (window.kernel.height, window.kernel.width)
                        && depth == input.channels() =>
                {
                    outputs
                }
                _ => {
                    let kernel = window.kernel;
                    let expected =
                        format!("[O, {}, {}, {}]", kernel.height, kernel.width, input.channels());
                    return Err(misfit(filter, expected));
                }
            };
            vector(bias.as_ref(), outputs)?;
            slide(window, input, outputs)?
        }
        Op::DepthwiseConv { filter, bias, window, .. } => {
            let outputs = match filter.shape[..] {
                [1, height, width, outputs]
                    if (height, width) == (window.kernel.height, window.kernel.width)
                        && outputs.is_multiple_of(input.channels()) =>
                {
                    outputs
                }
                _ => {
                    let kernel = window.kernel;
                    let expected = format!(
                        "[1, {}, {}, a multiple of {}]",
                        kernel.height,
                        kernel.width,
                        input.channels()
                    );
                    return Err(misfit(filter, expected));
                }
            };
            vector(bias.as_ref(), outputs)?;
            slide(window, input, outputs)?
        }
        Op::Dense { weights, bias, .. } => {
            let outputs = match weights.shape[..] {
                [outputs, depth] if depth == input.elements() => outputs,
                _ => return Err(misfit(weights, format!("[O, {}]", input.elements()))),
            };
            vector(bias.as_ref(), outputs)?;
            Shape::Vector(outputs)
        }
        Op::BatchNorm { gamma, beta, mean, variance, epsilon, momentum } => {
            for param in [gamma.as_ref(), beta.as_ref(), Some(mean), Some(variance)] {
                vector(param, input.channels())?;
            }
            positive("the batch norm's epsilon", *epsilon)?;
            if !(0.0..=1.0).contains(momentum) {
                return Err(ShapeError::Constant {
                    what: "the batch norm's momentum",
                    value: *momentum,
                    supported: "it must lie within 0 and 1",
                });
            }
            if let Some(&value) = variance.data.iter().find(|&&value| value < 0.0) {
                let supported = "it must not be negative";
                return Err(ShapeError::Constant { what: "a moving variance", value, supported });
            }
            input
        }
        Op::Add { .. } => {
            if input != inputs[1] {
                return Err(ShapeError::Operands { left: input, right: inputs[1] });
            }
            input
        }
        Op::AvgPool { window, .. } | Op::MaxPool { window, .. } => {
            let reach = window.reach()?;
            let Shape::Map { .. } = input else { return Err(ShapeError::NotAMap { found: input }) };
            let padding = window.padding;
            // A pool whose every tap lies in the padding has no value.
            if window.dilation != Extent::ONE
                || padding.top.max(padding.bottom) >= reach.height
                || padding.left.max(padding.right) >= reach.width
            {
                return Err(ShapeError::Window { window: *window });
            }
            slide(window, input, input.channels())?
        }
        Op::GlobalAvgPool { keep_axes } => match input {
            Shape::Map { channels, .. } if *keep_axes => {
                Shape::Map { height: 1, width: 1, channels }
            }
            Shape::Map { channels, .. } => Shape::Vector(channels),
            Shape::Vector(_) => return Err(ShapeError::NotAMap { found: input }),
        },
        Op::Pad(padding) => {
            slide(&Window { padding: *padding, ..Window::POINT }, input, input.channels())?
        }
        Op::Reshape(shape) => {
            let shape = shape.checked()?;
            if shape.elements() != input.elements() {
                return Err(ShapeError::Reshape { from: input, to: shape });
            }
            shape
        }
        Op::Flatten => Shape::Vector(input.elements()),
        Op::Dropout { rate } => {
            if !(0.0..1.0).contains(rate) {
                let supported = "it must lie within 0 and 1";
                return Err(ShapeError::Constant {
                    what: "the dropout rate",
                    value: *rate,
                    supported,
                });
            }
            input
        }
        Op::Softmax { beta } => {
            positive("the softmax's beta", *beta)?;
            input
        }
        Op::Activation(_) | Op::Requantize => input,
        Op::Rescale { scale, offset } => {
            for values in [scale, offset] {
                if values.len() != 1 && values.len() != input.channels() {
                    return Err(ShapeError::Param {
                        tensor: "rescaling".to_owned(),
                        expected: format!("[1] or [{}]", input.channels()),
                        found: vec![values.len()],
                    });
                }
                if let Some(&value) = values.iter().find(|value| !value.is_finite()) {
                    let supported = "it must be finite";
                    return Err(ShapeError::Constant {
                        what: "a rescaling constant",
                        value,
                        supported,
                    });
                }
            }
            input
        }
    };
    shape.checked().map(Some)
}

fn slide(window: &Window, input: Shape, channels: usize) -> Result<Shape, ShapeError> {
    let Shape::Map { .. } = input else { return Err(ShapeError::NotAMap { found: input }) };
    let output = window.output(input.extent())?;
    Ok(Shape::Map { height: output.height, width: output.width, channels })
}

fn vector(param: Option<&Param>, len: usize) -> Result<(), ShapeError> {
    match param {
        Some(param) if param.shape != [len] => Err(misfit(param, format!("[{len}]"))),
        _ => Ok(()),
    }
}

fn misfit(param: &Param, expected: String) -> ShapeError {
    ShapeError::Param { tensor: param.name.clone(), expected, found: param.shape.clone() }
}

fn positive(what: &'static str, value: f32) -> Result<(), ShapeError> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(ShapeError::Constant { what, value, supported: "it must be positive and finite" })
}

fn check_activation(activation: Activation) -> Result<(), ShapeError> {
    let (min, max) = activation.range();
    if min <= max && min < f32::INFINITY && max > f32::NEG_INFINITY {
        return Ok(());
    }
    let supported = "the lower end must lie below the upper one";
    Err(ShapeError::Constant { what: "the activation's lower end", value: min, supported })
}
