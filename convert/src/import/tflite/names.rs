//! Builtin operators by code, and which of them are supported.

pub(super) const ADD: i32 = 0;
pub(super) const AVERAGE_POOL_2D: i32 = 1;
pub(super) const CONV_2D: i32 = 3;
pub(super) const DEPTHWISE_CONV_2D: i32 = 4;
pub(super) const DEQUANTIZE: i32 = 6;
pub(super) const FULLY_CONNECTED: i32 = 9;
pub(super) const MAX_POOL_2D: i32 = 17;
pub(super) const RELU: i32 = 19;
pub(super) const RELU_N1_TO_1: i32 = 20;
pub(super) const RELU6: i32 = 21;
pub(super) const RESHAPE: i32 = 22;
pub(super) const SOFTMAX: i32 = 25;
pub(super) const CUSTOM: i32 = 32;
pub(super) const PAD: i32 = 34;
pub(super) const MEAN: i32 = 40;
pub(super) const SQUEEZE: i32 = 43;
pub(super) const STRIDED_SLICE: i32 = 45;
pub(super) const EXPAND_DIMS: i32 = 70;
pub(super) const SHAPE: i32 = 77;
pub(super) const PACK: i32 = 83;
pub(super) const QUANTIZE: i32 = 114;

/// Name of a builtin operator.
pub(super) fn of(code: i32) -> String {
    let name = usize::try_from(code).ok().and_then(|code| NAMES.get(code));
    name.map_or_else(|| format!("builtin {code}"), |name| (*name).to_owned())
}

pub(super) fn is_supported(code: i32) -> bool {
    SUPPORTED.contains(&code)
}

/// The supported operators, for messages.
pub(super) fn supported() -> String {
    SUPPORTED.map(of).join(", ")
}

const SUPPORTED: [i32; 20] = [
    ADD,
    AVERAGE_POOL_2D,
    CONV_2D,
    DEPTHWISE_CONV_2D,
    DEQUANTIZE,
    EXPAND_DIMS,
    FULLY_CONNECTED,
    MAX_POOL_2D,
    MEAN,
    PACK,
    PAD,
    QUANTIZE,
    RELU,
    RELU6,
    RELU_N1_TO_1,
    RESHAPE,
    SHAPE,
    SOFTMAX,
    SQUEEZE,
    STRIDED_SLICE,
];

/// `BuiltinOperator` of the schema, from 0.
#[rustfmt::skip]
const NAMES: [&str; 118] = [
    "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "DEQUANTIZE",
    "EMBEDDING_LOOKUP", "FLOOR", "FULLY_CONNECTED", "HASHTABLE_LOOKUP", "L2_NORMALIZATION", "L2_POOL_2D",
    "LOCAL_RESPONSE_NORMALIZATION", "LOGISTIC", "LSH_PROJECTION", "LSTM", "MAX_POOL_2D", "MUL", "RELU",
    "RELU_N1_TO_1", "RELU6", "RESHAPE", "RESIZE_BILINEAR", "RNN", "SOFTMAX", "SPACE_TO_DEPTH", "SVDF", "TANH",
    "CONCAT_EMBEDDINGS", "SKIP_GRAM", "CALL", "CUSTOM", "EMBEDDING_LOOKUP_SPARSE", "PAD",
    "UNIDIRECTIONAL_SEQUENCE_RNN", "GATHER", "BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND", "TRANSPOSE", "MEAN", "SUB",
    "DIV", "SQUEEZE", "UNIDIRECTIONAL_SEQUENCE_LSTM", "STRIDED_SLICE", "BIDIRECTIONAL_SEQUENCE_RNN", "EXP",
    "TOPK_V2", "SPLIT", "LOG_SOFTMAX", "DELEGATE", "BIDIRECTIONAL_SEQUENCE_LSTM", "CAST", "PRELU", "MAXIMUM",
    "ARG_MAX", "MINIMUM", "LESS", "NEG", "PADV2", "GREATER", "GREATER_EQUAL", "LESS_EQUAL", "SELECT", "SLICE", "SIN",
    "TRANSPOSE_CONV", "SPARSE_TO_DENSE", "TILE", "EXPAND_DIMS", "EQUAL", "NOT_EQUAL", "LOG", "SUM", "SQRT", "RSQRT",
    "SHAPE", "POW", "ARG_MIN", "FAKE_QUANT", "REDUCE_PROD", "REDUCE_MAX", "PACK", "LOGICAL_OR", "ONE_HOT",
    "LOGICAL_AND", "LOGICAL_NOT", "UNPACK", "REDUCE_MIN", "FLOOR_DIV", "REDUCE_ANY", "SQUARE", "ZEROS_LIKE", "FILL",
    "FLOOR_MOD", "RANGE", "RESIZE_NEAREST_NEIGHBOR", "LEAKY_RELU", "SQUARED_DIFFERENCE", "MIRROR_PAD", "ABS",
    "SPLIT_V", "UNIQUE", "CEIL", "REVERSE_V2", "ADD_N", "GATHER_ND", "COS", "WHERE", "RANK", "ELU",
    "REVERSE_SEQUENCE", "MATRIX_DIAG", "QUANTIZE", "MATRIX_SET_DIAG", "ROUND", "HARD_SWISH",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_at_their_codes() {
        assert_eq!(of(QUANTIZE), "QUANTIZE");
        assert_eq!(of(PACK), "PACK");
        assert_eq!(of(STRIDED_SLICE), "STRIDED_SLICE");
        assert_eq!(of(117), "HARD_SWISH");
        assert_eq!(of(-3), "builtin -3");
        assert!(supported().starts_with("ADD, AVERAGE_POOL_2D, CONV_2D"));
    }
}
