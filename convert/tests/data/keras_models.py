"""Writes keras3.h5.gz, small.keras.gz, keras2.h5.gz and small.weights.h5.gz and prints what the networks compute (Keras 3.15
on JAX).

keras3, small.keras: a Functional model as Keras 3 saves it. keras2: a Sequential model, laid out by hand as Keras 2.4
did. small.weights: of keras.applications.MobileNet, with values that say where they belong.
"""
import gzip
import json
import os

os.environ["KERAS_BACKEND"] = "jax"
import h5py
import keras
import numpy as np
from keras import layers as L

rng = np.random.default_rng(1)


def fill(model, size):
    model.set_weights([
        np.abs(rng.normal(size=v.shape)) * 0.5 + 0.1 if "variance" in v.path else rng.normal(size=v.shape) * size
        for v in model.weights
    ])


def report(name, model):
    shape = model.input_shape[1:]
    picture = (np.arange(np.prod(shape)) * 37 % 256).astype("float32").reshape(1, *shape)
    trainable = sum(int(np.prod(v.shape)) for v in model.trainable_weights)
    print(name, model.predict(picture, verbose=0).tolist(), model.count_params(), trainable)


def compress(name):
    with open(name, "rb") as file, open(name + ".gz", "wb") as out:
        out.write(gzip.compress(file.read(), 9, mtime=0))
    os.remove(name)


x = picture = L.Input((8, 8, 3), name="picture")
x = L.Rescaling(1 / 127.5, offset=-1, name="rescale")(x)
x = L.Conv2D(4, 3, padding="same", activation="relu", name="conv")(x)
y = L.SeparableConv2D(4, 3, padding="same", use_bias=False, name="separable")(x)
y = L.BatchNormalization(name="norm")(y)
y = L.ReLU(6.0, name="relu6")(y)
x = L.Add(name="add")([x, y])
x = L.ZeroPadding2D(((0, 1), (0, 1)), name="pad")(x)
x = L.DepthwiseConv2D(3, strides=2, depth_multiplier=2, name="depthwise")(x)
x = keras.Sequential([
    L.Input((4, 4, 8)),
    L.Conv2D(5, 1, activation="relu6", name="inner"),
    L.AveragePooling2D(2, padding="same", name="pool"),
], name="nested")(x)
x = L.GlobalAveragePooling2D(name="gap")(x)
x = L.Dropout(0.25, name="drop")(x)
model = keras.Model(picture, L.Dense(3, activation="softmax", name="scores")(x), name="small")
fill(model, 0.4)
model.get_layer("nested").trainable = False
model.save("small.keras")
model.save("keras3.h5")
report("keras3", model)
compress("keras3.h5")
compress("small.keras")

model = keras.Sequential([
    L.Input((6, 7, 2)),
    L.Conv2D(3, (3, 2), activation="relu", name="conv"),
    L.BatchNormalization(name="norm", scale=False),
    L.MaxPooling2D(2, name="pool"),
    L.Flatten(name="flatten"),
    L.Dense(4, name="dense"),
    L.Activation("softmax", name="softmax"),
])
fill(model, 0.06)
report("keras2", model)
layers = [
    ("Conv2D", dict(name="conv", trainable=True, batch_input_shape=[None, 6, 7, 2], filters=3, kernel_size=[3, 2],
                    strides=[1, 1], padding="valid", data_format="channels_last", dilation_rate=[1, 1], groups=1,
                    activation="relu", use_bias=True)),
    ("BatchNormalization", dict(name="norm", trainable=True, axis=[3], epsilon=0.001, center=True, scale=False)),
    ("MaxPooling2D", dict(name="pool", pool_size=[2, 2], padding="valid", strides=[2, 2],
                          data_format="channels_last")),
    ("Flatten", dict(name="flatten", data_format="channels_last")),
    ("Dense", dict(name="dense", units=4, activation="linear", use_bias=True)),
    ("Activation", dict(name="softmax", activation="softmax")),
]
config = {"name": "sequential", "layers": [{"class_name": c, "config": k} for c, k in layers]}
with h5py.File("keras2.h5", "w") as file:
    file.attrs["model_config"] = np.bytes_(json.dumps({"class_name": "Sequential", "config": config}))
    file.attrs["keras_version"] = np.bytes_("2.4.0")
    weights = file.create_group("model_weights")
    weights.attrs["layer_names"] = [np.bytes_(layer.name) for layer in model.layers]
    for layer in model.layers:
        group = weights.create_group(layer.name)
        group.attrs["weight_names"] = [np.bytes_(f"{layer.name}/{v.name}:0") for v in layer.weights]
        for v in layer.weights:
            group.create_dataset(f"{layer.name}/{v.name}:0", data=np.asarray(v))
compress("keras2.h5")

model = keras.applications.MobileNet(input_shape=(32, 32, 3), alpha=0.05, include_top=False, weights=None)
model.set_weights([
    (position + np.arange(np.prod(v.shape)) % 7 / 8).reshape(v.shape) for position, v in enumerate(model.weights)
])
model.save_weights("small.weights.h5")
compress("small.weights.h5")
print("small.weights", [tuple(v.shape) for v in model.weights][:6], model.count_params())
