//! A layer's JSON, read with errors that name the layer.

use serde_json::Value;

use super::KerasError;
use crate::graph::{Extent, Shape};

/// One entry of `layers`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layer<'a> {
    pub(super) class: &'a str,
    pub(super) name: &'a str,
    pub(super) position: usize,
    pub(super) config: &'a Value,
    inbound: &'a Value,
}

impl<'a> Layer<'a> {
    pub(super) fn new(value: &'a Value, position: usize) -> Result<Self, KerasError> {
        let config = &value["config"];
        let name = config["name"].as_str().or_else(|| value["name"].as_str());
        match (value["class_name"].as_str(), name) {
            (Some(class), Some(name)) => {
                Ok(Self { class, name, position, config, inbound: &value["inbound_nodes"] })
            }
            _ => Err(KerasError::Config(format!("layer {position} lacks a name or a class"))),
        }
    }

    /// An error about this layer.
    pub(super) fn usage(&self, what: impl Into<String>) -> KerasError {
        KerasError::Usage {
            class: self.class.to_owned(),
            layer: self.name.to_owned(),
            position: self.position,
            what: what.into(),
        }
    }

    fn odd(&self, key: &str, supported: &str) -> KerasError {
        let mut value = self.config[key].to_string();
        value.truncate(value.floor_char_boundary(80));
        self.usage(format!("`{key}` is {value}; {supported}"))
    }

    /// The layers that this one reads.
    pub(super) fn inbound(&self) -> Result<Vec<&'a str>, KerasError> {
        match self.inbound.as_array().map(Vec::as_slice) {
            None | Some([]) => Ok(Vec::new()),
            // Keras 2: [name, call, tensor, arguments]; Keras 3: {"args": [..., "keras_history": ...]}.
            Some([call]) => Ok(references(call)),
            Some(calls) => {
                let what =
                    format!("is called {} times; sharing a layer is not supported", calls.len());
                Err(self.usage(what))
            }
        }
    }

    pub(super) fn flag(&self, key: &str, default: bool) -> Result<bool, KerasError> {
        match &self.config[key] {
            Value::Null => Ok(default),
            value => value.as_bool().ok_or_else(|| self.odd(key, "true or false is needed")),
        }
    }

    pub(super) fn number(&self, key: &str, default: Option<f32>) -> Result<f32, KerasError> {
        match (&self.config[key], default) {
            (Value::Null, Some(default)) => Ok(default),
            (value, _) => {
                #[expect(clippy::cast_possible_truncation, reason = "Keras computes in f32")]
                let number = value.as_f64().map(|number| number as f32);
                number
                    .filter(|number| number.is_finite())
                    .ok_or_else(|| self.odd(key, "a number is needed"))
            }
        }
    }

    /// One number or a list of them.
    pub(super) fn numbers(&self, key: &str) -> Result<Vec<f32>, KerasError> {
        #[expect(clippy::cast_possible_truncation, reason = "Keras computes in f32")]
        let number = |value: &Value| value.as_f64().map(|number| number as f32);
        let mut value = &self.config[key];
        // Normalization nests its list once an axis.
        while let Some([inner @ Value::Array(_)]) = value.as_array().map(Vec::as_slice) {
            value = inner;
        }
        let numbers = match value.as_array() {
            Some(list) => list.iter().map(number).collect(),
            None => number(value).map(|number| vec![number]),
        };
        numbers.ok_or_else(|| self.odd(key, "numbers are needed"))
    }

    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.config[key].as_str()
    }

    pub(super) fn count(&self, key: &str) -> Result<usize, KerasError> {
        let count = self.config[key].as_u64().and_then(|count| usize::try_from(count).ok());
        count.ok_or_else(|| self.odd(key, "a whole number is needed"))
    }

    /// `n` or `[height, width]`.
    pub(super) fn extent(&self, key: &str, default: Option<Extent>) -> Result<Extent, KerasError> {
        let side = |value: &Value| value.as_u64().and_then(|side| usize::try_from(side).ok());
        let extent = match (&self.config[key], default) {
            (Value::Null, Some(default)) => Some(default),
            (Value::Array(sides), _) => match &sides[..] {
                [height, width] => side(height).zip(side(width)),
                _ => None,
            }
            .map(|(height, width)| Extent { height, width }),
            (value, _) => side(value).map(Extent::square),
        };
        extent.ok_or_else(|| self.odd(key, "two whole numbers are needed"))
    }

    /// `n`, `[vertical, horizontal]` or `[[top, bottom], [left, right]]`.
    pub(super) fn margins(&self, key: &str) -> Result<[usize; 4], KerasError> {
        let side = |value: &Value| value.as_u64().and_then(|side| usize::try_from(side).ok());
        let pair = |value: &Value| match value.as_array().map(Vec::as_slice) {
            Some([before, after]) => side(before).zip(side(after)),
            Some(_) => None,
            None => side(value).map(|side| (side, side)),
        };
        let value = &self.config[key];
        let margins = match value.as_array().map(Vec::as_slice) {
            Some([vertical, horizontal]) => pair(vertical).zip(pair(horizontal)),
            Some(_) => None,
            None => pair(value).map(|both| (both, both)),
        };
        let margins = margins.map(|((top, bottom), (left, right))| [top, bottom, left, right]);
        margins.ok_or_else(|| self.odd(key, "whole numbers of rows and columns are needed"))
    }

    pub(super) fn channels_last(&self) -> Result<(), KerasError> {
        match self.text("data_format") {
            None | Some("channels_last") => Ok(()),
            Some(_) => Err(self.odd("data_format", "channels_last is supported")),
        }
    }

    /// Whether `axis` means the last of `rank` (counted with the batch).
    pub(super) fn last_axis(&self, rank: i64) -> Result<(), KerasError> {
        let axis = match &self.config["axis"] {
            Value::Null => return Ok(()),
            Value::Array(axes) if axes.len() == 1 => axes[0].as_i64(),
            value => value.as_i64(),
        };
        match axis {
            Some(axis) if axis == -1 || axis == rank - 1 => Ok(()),
            _ => Err(self.odd("axis", "the last axis (the channels) is supported")),
        }
    }

    /// The network's input shape from a `batch_shape`.
    pub(super) fn input_shape(&self, shape: Option<&Value>) -> Result<Shape, KerasError> {
        let Some(shape) = shape.and_then(Value::as_array) else {
            return Err(self.usage("states no input shape; give the model an Input(shape=...)"));
        };
        let dims = shape.get(1..).unwrap_or(&[]).iter();
        let dims = dims.map(|dim| dim.as_u64().and_then(|dim| usize::try_from(dim).ok()));
        let Some(dims) = dims.collect::<Option<Vec<_>>>() else {
            let shape = Value::from(shape.clone());
            let what = format!("the input shape {shape} is open; save the model with a fixed one");
            return Err(self.usage(what));
        };
        Shape::from_dims(&dims).map_err(|fault| self.usage(fault.to_string()))
    }
}

/// The shape with batch that a configuration states, under any of its names.
pub(super) fn batch_shape(config: &Value) -> Option<&Value> {
    let keys = ["batch_input_shape", "batch_shape", "build_input_shape"];
    keys.into_iter().map(|key| &config[key]).find(|shape| shape.is_array())
}

/// All `[layer, call, tensor]` references inside a value, in order.
pub(super) fn references(value: &Value) -> Vec<&str> {
    let mut found = Vec::new();
    gather(value, &mut found);
    found
}

// The depth is bounded: the JSON parser refuses deep nesting.
fn gather<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Array(items) => match &items[..] {
            [Value::String(layer), Value::Number(_), Value::Number(_), ..] => found.push(layer),
            _ => items.iter().for_each(|item| gather(item, found)),
        },
        Value::Object(fields) => match fields.get("keras_history") {
            Some(history) => gather(history, found),
            None => fields.values().for_each(|field| gather(field, found)),
        },
        _ => {}
    }
}
