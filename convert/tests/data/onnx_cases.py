"""Writes onnx_cases.json.gz: small ONNX models in the ways of several exporters, with what ONNX Runtime 1.32 computes.

A case is a name, the file in hexadecimal and either the output, in the order height, width, channels, or words of the
error that Mote must give. The input is that of `picture`, in the same order.
"""
import gzip
import json

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

rng = np.random.default_rng(7)
cases = []


def picture(shape):
    values = np.arange(np.prod(shape)) * 37 % 256
    return (values.astype("float32") / 64 - 2).reshape(shape)


def const(name, values, kind="int64"):
    return numpy_helper.from_array(np.asarray(values, kind), name)


def weights(*shape):
    return (rng.normal(size=shape) * 0.5).astype("float32")


def node(op, inputs, output, **attributes):
    return helper.make_node(op, inputs, [output], name="", **attributes)


def model(nodes, constants=(), shape=(1, 3, 6, 5), outputs=("y",), opset=17, ir=8, inputs=("x",), kind=TensorProto.FLOAT):
    value = helper.make_tensor_value_info
    feeds = [value(name, kind, list(shape)) for name in inputs]
    if ir < 4:
        feeds += [value(c.name, c.data_type, list(c.dims)) for c in constants]
    results = [value(name, TensorProto.FLOAT, None) for name in outputs]
    graph = helper.make_graph(list(nodes), "case", feeds, results, list(constants))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)


def case(name, nodes, constants=(), nhwc=False, **options):
    file = model(nodes, constants, **options)
    session = onnxruntime.InferenceSession(file.SerializeToString(), providers=["CPUExecutionProvider"])
    dims = [dim if isinstance(dim, int) else 1 for dim in options.get("shape", (1, 3, 6, 5))]
    if len(dims) == 4 and not nhwc:
        n, c, h, w = dims
        feed = picture((n, h, w, c)).transpose(0, 3, 1, 2)
    else:
        feed = picture(dims)
    output = session.run(None, {"x": np.ascontiguousarray(feed)})[0]
    if output.ndim == 4 and not nhwc:
        output = output.transpose(0, 2, 3, 1)
    output = [float(f"{x:.7g}") for x in output.ravel()]
    cases.append({"name": name, "file": file.SerializeToString().hex(), "output": output})


def refuse(name, words, nodes, constants=(), **options):
    file = options.pop("file", None) or model(nodes, constants, **options)
    cases.append({"name": name, "file": file.SerializeToString().hex(), "error": words})


# Convolutions.
case("conv", [node("Conv", ["x", "w", "b"], "y", pads=[1, 0, 2, 1], strides=[2, 1], dilations=[1, 2])],
     [const("w", weights(4, 3, 3, 2), "float32"), const("b", weights(4), "float32")])
for pad in ["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"]:
    case(f"conv {pad}", [node("Conv", ["x", "w"], "y", auto_pad=pad, strides=[2, 2])],
         [const("w", weights(2, 3, 3, 4), "float32")])
case("depthwise", [node("Conv", ["x", "w", "b"], "y", group=3, pads=[1, 1, 1, 1])],
     [const("w", weights(6, 1, 3, 3), "float32"), const("b", weights(6), "float32")])
case("half", [node("Cast", ["h"], "w", to=1), node("Conv", ["x", "w"], "y")], [const("h", weights(2, 3, 1, 1), "float16")])
case("double", [node("Cast", ["d"], "w", to=1), node("Conv", ["x", "w"], "y")], [const("d", weights(2, 3, 1, 1), "float64")])
case("turned weights", [node("Transpose", ["t"], "w", perm=[3, 2, 0, 1]), node("Conv", ["x", "w"], "y")],
     [const("t", weights(2, 3, 3, 4), "float32")])
case("conv and addition", [node("Conv", ["x", "w"], "c"), node("Add", ["c", "b"], "y")],
     [const("w", weights(4, 3, 2, 2), "float32"), const("b", weights(1, 4, 1, 1), "float32")])

# Batch norms and functions of single numbers.
norm = [const(name, weights(3), "float32") for name in "gbm"] + [const("v", np.abs(weights(3)) + 0.1, "float32")]
case("norm", [node("BatchNormalization", ["x", "g", "b", "m", "v"], "y", epsilon=1e-3, momentum=0.8)], norm)
case("old norm", [node("BatchNormalization", ["x", "g", "b", "m", "v"], "y")], norm, opset=9, ir=3)
case("norm of a vector", [node("BatchNormalization", ["x", "g", "b", "m", "v"], "y")], norm, shape=(1, 3))
case("relu", [node("Relu", ["x"], "y")])
case("relu of an open batch", [node("Relu", ["x"], "y")], shape=("batch", 3, 6, 5))
case("clip", [node("Clip", ["x", "low", "high"], "y")], [const("low", 0, "float32"), const("high", 1, "float32")])
case("clip from above", [node("Clip", ["x", "", "high"], "y")], [const("high", 0.5, "float32")])
case("old clip", [node("Clip", ["x"], "y", min=-1.0, max=1.5)], opset=10)
case("dropout", [node("Dropout", ["x", "ratio"], "y")], [const("ratio", 0.25, "float32")])
case("old dropout", [node("Dropout", ["x"], "y", ratio=0.25)], opset=10)
case("softmax", [node("Softmax", ["x"], "y")], shape=(1, 7))
case("old softmax", [node("Softmax", ["x"], "y")], shape=(1, 7), opset=11)
case("sum", [node("Conv", ["x", "w"], "a"), node("Add", ["a", "x"], "y")], [const("w", weights(3, 3, 1, 1), "float32")])
case("scaling", [node("Sub", ["x", "mean"], "a"), node("Div", ["a", "deviation"], "b"), node("Mul", ["b", "two"], "y")],
     [const("mean", weights(3, 1, 1), "float32"), const("deviation", np.abs(weights(1, 3, 1, 1)) + 0.2, "float32"),
      const("two", 2, "float32")])
case("one minus", [node("Sub", ["one", "x"], "y")], [const("one", [1], "float32")])

# Pools.
case("max pool", [node("MaxPool", ["x"], "y", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1])])
case("max pool, rounded up", [node("MaxPool", ["x"], "y", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)])
case("max pool, rounded up and cut", [node("MaxPool", ["x"], "y", kernel_shape=[1, 2], strides=[3, 3], pads=[0, 1, 0, 1], ceil_mode=1)])
case("average pool", [node("AveragePool", ["x"], "y", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])])
case("average pool with padding", [node("AveragePool", ["x"], "y", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 1, 2, 1],
                                        count_include_pad=1)])
case("average pool, rounded up", [node("AveragePool", ["x"], "y", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)])
case("average pool, same", [node("AveragePool", ["x"], "y", kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_UPPER")])
case("global max", [node("GlobalMaxPool", ["x"], "y")])
case("mean", [node("ReduceMean", ["x"], "y", axes=[3, 2], keepdims=0)])
case("new mean", [node("ReduceMean", ["x", "axes"], "y")], [const("axes", [-2, -1])], opset=18)

# The way to a classifier.
gemm = [const("w", weights(4, 3), "float32"), const("b", weights(4), "float32")]
case("pooled classifier", [node("GlobalAveragePool", ["x"], "a"), node("Flatten", ["a"], "f"),
                           node("Gemm", ["f", "w", "b"], "y", transB=1)], gemm)
case("squeezed classifier", [node("GlobalAveragePool", ["x"], "a"), node("Squeeze", ["a", "axes"], "f"),
                             node("Gemm", ["f", "w", "b"], "y", transB=1)], gemm + [const("axes", [2, 3])])
case("old squeezed classifier", [node("GlobalAveragePool", ["x"], "a"), node("Squeeze", ["a"], "f", axes=[-1, 2]),
                                 node("Gemm", ["f", "w", "b"], "y", transB=1)], gemm, opset=11)
case("pixel again", [node("ReduceMean", ["x"], "a", axes=[2, 3], keepdims=0), node("Unsqueeze", ["a", "axes"], "u"),
                     node("Conv", ["u", "w"], "y")], [const("axes", [2, 3]), const("w", weights(2, 3, 1, 1), "float32")])
flat = [const("w", weights(90, 4), "float32"), const("b", weights(4), "float32")]
case("flat classifier", [node("Flatten", ["x"], "f"), node("Relu", ["f"], "r"), node("Gemm", ["r", "w", "b"], "y")], flat)
case("flat product", [node("Reshape", ["x", "shape"], "f"), node("MatMul", ["f", "w"], "m"), node("Add", ["m", "b"], "y")],
     flat + [const("shape", [0, -1])])
case("computed shape", [
    node("Shape", ["x"], "s"), node("Constant", [], "zero", value_int=0), node("Gather", ["s", "zero"], "n"),
    node("Constant", [], "axes", value_ints=[0]), node("Unsqueeze", ["n", "axes"], "u"),
    node("Constant", [], "rest", value=const("", [-1])), node("Concat", ["u", "rest"], "shape", axis=0),
    node("Reshape", ["x", "shape"], "f"), node("Gemm", ["f", "w", "b"], "y")], flat, shape=("n", 3, 6, 5))
case("back to a map", [node("Flatten", ["x"], "f"), node("Relu", ["f"], "r"), node("Reshape", ["r", "shape"], "m"),
                       node("Conv", ["m", "w"], "y")],
     [const("shape", [-1, 3, 6, 5]), const("w", weights(2, 3, 1, 1), "float32")])
case("channels last", [
    node("Transpose", ["x"], "t", perm=[0, 3, 1, 2]), node("Conv", ["t", "w"], "c", pads=[0, 0, 1, 1], strides=[2, 2]),
    node("Transpose", ["c"], "l", perm=[0, 2, 3, 1]), node("Add", ["l", "b"], "a"), node("Relu", ["a"], "r"),
    node("Reshape", ["r", "shape"], "f"), node("MatMul", ["f", "d"], "m"), node("Add", ["m", "e"], "s"),
    node("Softmax", ["s"], "y")],
     [const("w", weights(4, 3, 3, 3), "float32"), const("b", weights(4), "float32"), const("shape", [-1, 24]),
      const("d", weights(24, 3), "float32"), const("e", weights(3), "float32")], shape=(1, 6, 5, 3), nhwc=True)
case("channels last, averaged", [
    node("Transpose", ["x"], "t", perm=[0, 3, 1, 2]), node("Relu", ["t"], "c"),
    node("Transpose", ["c"], "l", perm=[0, 2, 3, 1]), node("ReduceMean", ["l"], "y", axes=[1, 2], keepdims=0)],
     shape=(1, 6, 5, 3), nhwc=True)

# Padding, and the shortcut of ResNets for CIFAR.
case("pad", [node("Pad", ["x", "pads"], "y")], [const("pads", [0, 0, 1, 0, 0, 0, 0, 2])])
case("pad without a value", [node("Pad", ["x", "pads", ""], "y")], [const("pads", [0, 1, 1, 0, 0, 2, 0, 2])])
case("pad of axes", [node("Pad", ["x", "pads", "", "axes"], "y")], [const("pads", [1, 2, 3, 4]), const("axes", [3, -2])], opset=18)
case("old pad", [node("Pad", ["x"], "y", pads=[0, 0, 1, 1, 0, 0, 1, 1], mode="constant", value=0.0)], opset=10)
case("steps", [node("Slice", ["x", "zero", "end", "axis", "two"], "a"), node("Slice", ["a", "zero", "end", "last", "two"], "y")],
     [const("zero", [0]), const("end", [2**63 - 1]), const("axis", [2]), const("last", [-1]), const("two", [2])])
case("no steps", [node("Slice", ["x"], "y", starts=[0, 0], ends=[3, 99], axes=[1, 2])], opset=9)
case("shortcut", [
    node("Slice", ["x", "start", "end", "axes", "steps"], "a"),
    node("Constant", [], "pads", value=const("", [0, 0, 0, 0, 2, 2])),
    node("Shape", ["pads"], "s"), node("Constant", [], "zero", value=const("", [0])), node("Gather", ["s", "zero"], "g", axis=0),
    node("Constant", [], "four", value=const("", 4)), node("Constant", [], "two", value=const("", 2)),
    node("Mul", ["four", "two"], "m"), node("Sub", ["m", "g"], "n"), node("Cast", ["pads"], "c", to=7),
    node("ConstantOfShape", ["n"], "z", value=const("", [0])), node("Concat", ["c", "z"], "l", axis=0),
    node("Reshape", ["l", "pairs"], "r"), node("Slice", ["r", "minus", "far", "first", "minus"], "v"),
    node("Transpose", ["v"], "t", perm=[1, 0]), node("Reshape", ["t", "minus"], "p"), node("Cast", ["p"], "q", to=7),
    node("Constant", [], "nothing", value=const("", 0, "float32")), node("Pad", ["a", "q", "nothing"], "shortcut", mode="constant"),
    node("Conv", ["x", "stem.weight"], "main", strides=[2, 2], pads=[1, 1, 1, 1]),
    node("BatchNormalization", ["main", "bn.weight", "bn.bias", "bn.mean", "bn.variance"], "norm"),
    node("Add", ["norm", "shortcut"], "sum"), node("Relu", ["sum"], "y")],
     [const("start", [0, 0]), const("end", [2**63 - 1] * 2), const("axes", [2, 3]), const("steps", [2, 2]), const("pairs", [-1, 2]),
      const("minus", [-1]), const("far", [-(2**63) + 1]), const("first", [0]), const("stem.weight", weights(7, 3, 3, 3), "float32"),
      const("bn.weight", weights(7), "float32"), const("bn.bias", weights(7), "float32"), const("bn.mean", weights(7), "float32"),
      const("bn.variance", np.abs(weights(7)) + 0.1, "float32")])
case("shared weights", [node("Identity", ["w"], "v"), node("Conv", ["x", "w"], "a"), node("Conv", ["a", "v"], "y")],
     [const("w", weights(3, 3, 1, 1), "float32")])
case("weights as inputs", [node("Conv", ["x", "w"], "y")], [const("w", weights(2, 3, 1, 1), "float32")], ir=3, opset=8)

# What is refused, by name.
refuse("operator", ["node 1, `y`: operator LeakyRelu is not supported", "Relu"],
       [node("Relu", ["x"], "r"), node("LeakyRelu", ["r"], "y")])
refuse("domain", ["com.microsoft.Gelu"], [helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")])
refuse("groups", ["operator Conv", "`group` 2", "depthwise"], [node("Conv", ["x", "w"], "y", group=2)],
       [const("w", weights(4, 2, 1, 1), "float32")], shape=(1, 4, 5, 5))
refuse("training", ["BatchNormalization", "model.eval()"],
       [node("BatchNormalization", ["x", "g", "b", "m", "v"], "y", training_mode=1)], norm)
refuse("cut", ["Slice", "all rows and columns"], [node("Slice", ["x"], "y", starts=[1], ends=[5], axes=[2])], opset=9)
refuse("reflection", ["Pad", "zeros"], [node("Pad", ["x", "pads"], "y", mode="reflect")], [const("pads", [0, 0, 1, 1, 0, 0, 1, 1])])
refuse("negative padding", ["negative"], [node("Pad", ["x", "pads"], "y")], [const("pads", [0, 0, -1, 0, 0, 0, 0, 0])])
refuse("rounded up with padding", ["`ceil_mode` with padding that counts"],
       [node("AveragePool", ["x"], "y", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1, count_include_pad=1)])
refuse("alpha", ["Gemm", "`alpha`"], [node("Flatten", ["x"], "f"), node("Gemm", ["f", "w", "b"], "y", alpha=2.0)], flat)
refuse("flat output", ["tensor `y`", "channel by channel"], [node("Flatten", ["x"], "y")])
refuse("turned", ["Transpose", "[0, 2, 1, 3]"], [node("Transpose", ["x"], "y", perm=[0, 2, 1, 3])])
refuse("shuffle", ["Reshape", "[1, 3, 6, 5] to [1, 3, 1, 6, 5]"], [node("Reshape", ["x", "shape"], "y")],
       [const("shape", [1, 3, 1, 6, 5])])
refuse("two inputs", ["2 inputs (x, z)"], [node("Add", ["x", "z"], "y")], inputs=("x", "z"))
refuse("two outputs", ["2 outputs (y, z)"], [node("Relu", ["x"], "y"), node("Relu", ["y"], "z")], outputs=("y", "z"))
refuse("open size", ["tensor `x`", "fixed but for the batch"], [node("Relu", ["x"], "y")], shape=("n", 3, "h", "w"))
refuse("integers", ["tensor `x`", "FLOAT is supported"], [node("Relu", ["x"], "y")], kind=TensorProto.UINT8)
refuse("attention", ["MatMul", "must be a constant"], [node("MatMul", ["x", "x"], "y")], shape=(1, 4))
refuse("nothing", ["reads `lost`, which nothing computes"], [node("Add", ["x", "lost"], "y")])
refuse("no value", ["nothing computes the output `y`"], [node("Relu", ["x"], "z")])
refuse("endless", ["more than the file explains"], [node("ConstantOfShape", ["n"], "c"), node("Add", ["x", "c"], "y")],
       [const("n", [1 << 20])])
outside = const("w", weights(2, 3, 1, 1), "float32")
outside.data_location = TensorProto.EXTERNAL
refuse("external", ["tensor `w`", "one file"], [node("Conv", ["x", "w"], "y")], [outside])
branch = helper.make_graph([node("Relu", ["x"], "b")], "branch", [], [helper.make_tensor_value_info("b", TensorProto.FLOAT, None)])
refuse("branches", ["subgraphs"], [node("If", ["c"], "y", then_branch=branch, else_branch=branch)], [const("c", True, "bool")])

with open("onnx_cases.json.gz", "wb") as out:
    out.write(gzip.compress(json.dumps(cases).encode(), 9, mtime=0))
print(len(cases), "cases, ONNX Runtime", onnxruntime.__version__)
