//! A node with its operands, and what it says of itself.

use std::collections::HashMap;
use std::rc::Rc;

use rten_onnx::onnx::{AttributeProto, NodeProto};

use super::constant::{Data, Tensor};
use super::{OnnxError, Value};

pub(super) struct Site<'a> {
    node: &'a NodeProto,
    position: usize,
    pub(super) name: String,
    pub(super) opset: i64,
    inputs: Vec<Option<Value>>,
}

impl<'a> Site<'a> {
    pub(super) fn new(
        node: &'a NodeProto,
        position: usize,
        opset: i64,
        values: &HashMap<String, Value>,
    ) -> Result<Self, OnnxError> {
        let own = node.name.as_deref().filter(|name| !name.is_empty());
        let name = own.or(node.output.first().map(String::as_str)).unwrap_or_default();
        let module = node.input.get(1).and_then(|weight| weight.strip_suffix(".weight"));
        let name = module.unwrap_or(name).trim_start_matches('/').to_owned();
        let mut site = Self { node, position, name, opset, inputs: Vec::new() };
        if !matches!(node.domain.as_deref(), None | Some("" | "ai.onnx")) {
            return Err(site.unknown());
        }
        for input in &node.input {
            let value = values.get(input).cloned();
            if value.is_none() && !input.is_empty() {
                return Err(site.usage(format!("reads `{input}`, which nothing computes")));
            }
            site.inputs.push(value);
        }
        Ok(site)
    }

    pub(super) fn op(&self) -> &str {
        self.node.op_type.as_deref().unwrap_or_default()
    }

    /// Results that somebody may want.
    pub(super) fn outputs(&self) -> usize {
        self.node.output.iter().filter(|output| !output.is_empty()).count()
    }

    pub(super) fn usage(&self, what: impl Into<String>) -> OnnxError {
        OnnxError::Usage {
            op: self.op().to_owned(),
            node: self.name.clone(),
            position: self.position,
            what: what.into(),
        }
    }

    pub(super) fn unknown(&self) -> OnnxError {
        let domain = self.node.domain.as_deref().filter(|domain| !domain.is_empty());
        let domain = domain.map(|domain| format!("{domain}.")).unwrap_or_default();
        let (node, position) = (self.name.clone(), self.position);
        OnnxError::Operator { op: domain + self.op(), node, position }
    }

    pub(super) fn input(&self, index: usize) -> Option<&Value> {
        self.inputs.get(index)?.as_ref()
    }

    pub(super) fn value(&self, index: usize) -> Result<&Value, OnnxError> {
        self.input(index).ok_or_else(|| self.usage(format!("lacks input {index}")))
    }

    /// The file's name of an operand.
    pub(super) fn input_name(&self, index: usize) -> &str {
        self.node.input.get(index).map(String::as_str).unwrap_or_default()
    }

    /// All operands, when they are known.
    pub(super) fn constants(&self) -> Option<Vec<&Rc<Tensor>>> {
        let mut constants = Vec::new();
        for value in self.inputs.iter().flatten() {
            match value {
                Value::Constant(tensor) => constants.push(tensor),
                _ => return None,
            }
        }
        Some(constants)
    }

    pub(super) fn constant(&self, index: usize) -> Result<Option<&Tensor>, OnnxError> {
        match self.input(index) {
            None => Ok(None),
            Some(Value::Constant(tensor)) => Ok(Some(tensor)),
            Some(_) => Err(self.usage(format!("input {index} must be a constant"))),
        }
    }

    pub(super) fn floats(&self, index: usize) -> Result<(&[usize], &[f32]), OnnxError> {
        match self.constant(index)? {
            Some(Tensor { dims, data: Data::Floats(data) }) if !data.is_empty() => Ok((dims, data)),
            _ => Err(self.usage(format!("input {index} must be constant floats"))),
        }
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.node.attribute.iter().find(|attribute| attribute.name.as_deref() == Some(name))
    }

    pub(super) fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).and_then(|attribute| attribute.i).unwrap_or(default)
    }

    pub(super) fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).and_then(|attribute| attribute.f).unwrap_or(default)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.attribute(name).and_then(|attribute| attribute.s.as_deref())
    }

    /// Numbers that are an input in newer versions of an operator and were an attribute in older ones.
    pub(super) fn ints(&self, index: usize, name: &str) -> Result<Option<Vec<i64>>, OnnxError> {
        match self.constant(index)? {
            Some(Tensor { data: Data::Ints(values), .. }) => Ok(Some(values.clone())),
            Some(_) => Err(self.usage(format!("input {index}, `{name}`, must be integers"))),
            None => Ok(self.attribute(name).map(|attribute| attribute.ints.clone())),
        }
    }

    /// A number of the same kind.
    pub(super) fn scalar(&self, index: usize, name: &str) -> Result<Option<f32>, OnnxError> {
        match self.constant(index)? {
            Some(Tensor { data: Data::Floats(values), .. }) if values.len() == 1 => {
                Ok(Some(values[0]))
            }
            Some(_) => Err(self.usage(format!("input {index}, `{name}`, must be one float"))),
            None => Ok(self.attribute(name).and_then(|attribute| attribute.f)),
        }
    }

    pub(super) fn sizes<const N: usize>(
        &self,
        name: &str,
        default: [usize; N],
    ) -> Result<[usize; N], OnnxError> {
        let Some(attribute) = self.attribute(name) else { return Ok(default) };
        let sizes: Option<Vec<usize>> =
            attribute.ints.iter().map(|&int| usize::try_from(int).ok()).collect();
        sizes
            .and_then(|sizes| sizes.try_into().ok())
            .ok_or_else(|| self.usage(format!("`{name}` must be {N} numbers of 0 or more")))
    }
}
