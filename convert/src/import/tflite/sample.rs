//! Small TFLite files made here, for tests.

/// A value to be laid out as a flatbuffer.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Byte(u8),
    Int(i32),
    Float(f32),
    Bytes(Vec<u8>),
    Ints(Vec<i32>),
    Floats(Vec<f32>),
    Longs(Vec<i64>),
    Table(Vec<(usize, Self)>),
    Tables(Vec<Self>),
}

use Value::{Byte, Bytes, Float, Floats, Int, Ints, Longs, Table, Tables};

/// A file with the TFLite identifier around its root table.
pub(crate) fn file(root: &Value) -> Vec<u8> {
    let mut file = vec![0; 4];
    file.extend(b"TFL3");
    place(&mut file, 0, root);
    file
}

/// Writes `value` at the end of the file and its offset at `from`.
fn place(file: &mut Vec<u8>, from: usize, value: &Value) {
    let at = match value {
        Table(fields) => return table(file, from, fields),
        _ => file.len(),
    };
    point(file, from, at);
    match value {
        Bytes(bytes) => vector(file, bytes.len(), bytes.iter().copied()),
        Ints(ints) => vector(file, ints.len(), ints.iter().flat_map(|int| int.to_le_bytes())),
        Floats(all) => vector(file, all.len(), all.iter().flat_map(|float| float.to_le_bytes())),
        Longs(longs) => vector(file, longs.len(), longs.iter().flat_map(|long| long.to_le_bytes())),
        Tables(tables) => {
            vector(file, tables.len(), core::iter::repeat_n(0, 4 * tables.len()));
            for (index, table) in tables.iter().enumerate() {
                place(file, at + 4 + 4 * index, table);
            }
        }
        Byte(_) | Int(_) | Float(_) | Table(_) => unreachable!("lies inside its table"),
    }
}

fn table(file: &mut Vec<u8>, from: usize, fields: &[(usize, Value)]) {
    let slots = fields.iter().map(|(slot, _)| slot + 1).max().unwrap_or(0);
    let vtable = file.len();
    let vtable_len = 4 + 2 * slots;
    let mut offsets = vec![0; slots];
    for (place, (slot, _)) in fields.iter().enumerate() {
        offsets[*slot] = u16::try_from(4 + 4 * place).unwrap();
    }
    file.extend(u16::try_from(vtable_len).unwrap().to_le_bytes());
    file.extend(u16::try_from(4 + 4 * fields.len()).unwrap().to_le_bytes());
    file.extend(offsets.iter().flat_map(|offset| offset.to_le_bytes()));
    let at = file.len();
    point(file, from, at);
    file.extend(i32::try_from(at - vtable).unwrap().to_le_bytes());
    file.extend(core::iter::repeat_n(0, 4 * fields.len()));
    for (index, (_, value)) in fields.iter().enumerate() {
        let field = at + 4 + 4 * index;
        match value {
            Byte(byte) => file[field] = *byte,
            Int(int) => file[field..field + 4].copy_from_slice(&int.to_le_bytes()),
            Float(float) => file[field..field + 4].copy_from_slice(&float.to_le_bytes()),
            value => place(file, field, value),
        }
    }
}

fn vector(file: &mut Vec<u8>, len: usize, bytes: impl Iterator<Item = u8>) {
    file.extend(u32::try_from(len).unwrap().to_le_bytes());
    file.extend(bytes);
}

fn point(file: &mut [u8], from: usize, to: usize) {
    file[from..from + 4].copy_from_slice(&u32::try_from(to - from).unwrap().to_le_bytes());
}

/// A network under construction: every tensor, with a buffer of its own, and every operator.
#[derive(Debug, Default)]
pub(crate) struct Network {
    tensors: Vec<Value>,
    buffers: Vec<Value>,
    opcodes: Vec<Value>,
    operators: Vec<Value>,
}

/// How a sample tensor is stored: `(type, scales, zero point, axis)`.
pub(crate) type Kind<'a> = (u8, &'a [f32], i64, i32);

pub(crate) const F32: Kind<'static> = (0, &[], 0, 0);

impl Network {
    pub(crate) fn tensor(&mut self, name: &str, shape: &[i32], kind: Kind<'_>, data: &[u8]) -> i32 {
        let (code, scales, zero_point, axis) = kind;
        let quantization = Table(vec![
            (2, Floats(scales.to_vec())),
            (3, Longs(vec![zero_point; scales.len()])),
            (6, Int(axis)),
        ]);
        let index = i32::try_from(self.tensors.len()).unwrap();
        self.tensors.push(Table(vec![
            (0, Ints(shape.to_vec())),
            (1, Byte(code)),
            (2, Int(index)),
            (3, Bytes(name.into())),
            (4, quantization),
        ]));
        self.buffers.push(Table(vec![(0, Bytes(data.to_vec()))]));
        index
    }

    pub(crate) fn operator(
        &mut self,
        code: i32,
        inputs: &[i32],
        output: i32,
        options: Vec<(usize, Value)>,
    ) {
        let index = i32::try_from(self.opcodes.len()).unwrap();
        let byte = u8::try_from(code.min(127)).unwrap();
        self.opcodes.push(Table(vec![(0, Byte(byte)), (3, Int(code))]));
        self.operators.push(Table(vec![
            (0, Int(index)),
            (1, Ints(inputs.to_vec())),
            (2, Ints(vec![output])),
            (4, Table(options)),
        ]));
    }

    pub(crate) fn file(self, inputs: &[i32], outputs: &[i32]) -> Vec<u8> {
        let subgraph = Table(vec![
            (0, Tables(self.tensors)),
            (1, Ints(inputs.to_vec())),
            (2, Ints(outputs.to_vec())),
            (3, Tables(self.operators)),
            (4, Bytes(b"sample".to_vec())),
        ]);
        file(&Table(vec![
            (0, Int(3)),
            (1, Tables(self.opcodes)),
            (2, Tables(vec![subgraph])),
            (4, Tables(self.buffers)),
        ]))
    }
}

/// uint8 in and out; inside int8: conv, depthwise conv, add, mean, fully connected, softmax.
pub(crate) fn int8() -> Vec<u8> {
    let mut net = Network::default();
    let ramp = |len: u8, step: u8| (0..len).map(|i| i.wrapping_mul(step)).collect::<Vec<u8>>();
    let words =
        |len: i32| (0..len).flat_map(|i| (i * 100 - 150).to_le_bytes()).collect::<Vec<u8>>();
    let picture = net.tensor("picture", &[1, 6, 6, 2], (3, &[0.5], 127, 0), &[]);
    let inside = net.tensor("inside", &[1, 6, 6, 2], (9, &[0.5], -1, 0), &[]);
    let filter =
        net.tensor("conv/w", &[4, 3, 3, 2], (9, &[0.1, 0.2, 0.3, 0.4], 0, 0), &ramp(72, 37));
    let bias = net.tensor("conv/b", &[4], (2, &[0.05, 0.1, 0.15, 0.2], 0, 0), &words(4));
    let conv = net.tensor("conv", &[1, 3, 3, 4], (9, &[0.25], -128, 0), &[]);
    let taps = net.tensor("dw/w", &[1, 3, 3, 4], (9, &[0.1, 0.2, 0.3, 0.4], 0, 3), &ramp(36, 91));
    let dw = net.tensor("dw", &[1, 3, 3, 4], (9, &[0.5], 3, 0), &[]);
    let sum = net.tensor("sum", &[1, 3, 3, 4], (9, &[0.5], -5, 0), &[]);
    let axes = net.tensor("axes", &[2], (2, &[], 0, 0), &[1, 0, 0, 0, 2, 0, 0, 0]);
    let mean = net.tensor("mean", &[1, 4], (9, &[0.3], 2, 0), &[]);
    let weights = net.tensor("fc/w", &[3, 4], (9, &[0.02], 0, 0), &ramp(12, 201));
    let scores = net.tensor("scores", &[1, 3], (9, &[0.1], 7, 0), &[]);
    let softmax = net.tensor("softmax", &[1, 3], (9, &[0.003_906_25], -128, 0), &[]);
    let result = net.tensor("result", &[1, 3], (3, &[0.003_906_25], 0, 0), &[]);
    net.operator(114, &[picture], inside, vec![]);
    let steps = vec![(0, Byte(0)), (1, Int(2)), (2, Int(2)), (3, Byte(1))];
    net.operator(3, &[inside, filter, bias], conv, steps);
    let steps = vec![(0, Byte(0)), (1, Int(1)), (2, Int(1)), (3, Int(1)), (4, Byte(0))];
    net.operator(4, &[conv, taps, -1], dw, steps);
    net.operator(0, &[conv, dw], sum, vec![(0, Byte(3))]);
    net.operator(40, &[sum, axes], mean, vec![(0, Byte(0))]);
    net.operator(9, &[mean, weights, -1], scores, vec![(0, Byte(0))]);
    net.operator(25, &[scores], softmax, vec![(0, Float(1.0))]);
    net.operator(114, &[softmax], result, vec![]);
    net.file(&[picture], &[result])
}

/// Float: pad, conv, pool, reshape, fully connected.
pub(crate) fn float() -> Vec<u8> {
    let mut net = Network::default();
    let ramp =
        |len: u8| (0..len).flat_map(|i| (f32::from(i) * 0.1).to_le_bytes()).collect::<Vec<u8>>();
    let pads: Vec<u8> =
        [0, 0, 1, 2, 0, 1, 0, 0].iter().flat_map(|i: &i32| i.to_le_bytes()).collect();
    let picture = net.tensor("picture", &[1, 5, 6, 1], F32, &[]);
    let pads = net.tensor("pads", &[4, 2], (2, &[], 0, 0), &pads);
    let padded = net.tensor("padded", &[1, 8, 7, 1], F32, &[]);
    let filter = net.tensor("conv/w", &[2, 3, 2, 1], F32, &ramp(12));
    let bias = net.tensor("conv/b", &[2], F32, &ramp(2));
    let conv = net.tensor("conv", &[1, 6, 6, 2], F32, &[]);
    let pool = net.tensor("pool", &[1, 3, 3, 2], F32, &[]);
    let flat = net.tensor("flat", &[1, 18], F32, &[]);
    let weights = net.tensor("fc/w", &[2, 18], F32, &ramp(36));
    let scores = net.tensor("scores", &[1, 2], F32, &[]);
    net.operator(34, &[picture, pads], padded, vec![]);
    let steps = vec![(0, Byte(1)), (1, Int(1)), (2, Int(1)), (3, Byte(3))];
    net.operator(3, &[padded, filter, bias], conv, steps);
    let steps = vec![(0, Byte(1)), (1, Int(2)), (2, Int(2)), (3, Int(2)), (4, Int(2))];
    net.operator(17, &[conv], pool, steps);
    net.operator(22, &[pool], flat, vec![]);
    net.operator(9, &[flat, weights, -1], scores, vec![(0, Byte(0))]);
    net.file(&[picture], &[scores])
}
