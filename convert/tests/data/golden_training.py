#!/usr/bin/env python3
"""Three training steps of a small network in PyTorch: what tests/training.rs expects.

    pip install torch numpy
    python golden_training.py [FILE]        # rewrites FILE, or golden_training.json beside it

`cargo xtask pytorch` does it with a PyTorch of its own and compares.

Weights and pictures come from a generator that the test has too. Moving variances follow the biased variance of the
batch, as in Keras 3; PyTorch's own would follow the unbiased one.
"""

import json
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F

PICTURES, CLASSES, RATE, MOMENTUM, KEEP, EPSILON = 6, 5, 0.05, 0.9, 0.99, 1e-3
MASK = (1 << 64) - 1


def values(shape, seed):
    """Numbers without structure, in -1..1."""
    state = (seed * 0x9E3779B97F4A7C15 & MASK) ^ 0x5851F42D4C957F2D
    numbers = []
    for _ in range(int(np.prod(shape)) + 8):
        state = (state * 6364136223846793005 + 1442695040888963407) & MASK
        numbers.append((state >> 40) / 8388608.0 - 1.0)
    return np.array(numbers[8:], np.float32).reshape(shape)


# name: (shape in Mote's layout, seed, factor, offset)
WEIGHTS = {
    "conv/kernel": ((8, 3, 3, 3), 1, 0.4, 0),
    "conv_norm/gamma": ((8,), 2, 0.5, 1), "conv_norm/beta": ((8,), 3, 0.5, 0.5),
    "depthwise/depthwise_kernel": ((1, 3, 3, 8), 4, 0.5, 0), "depthwise/bias": ((8,), 5, 0.2, 0),
    "depthwise_norm/gamma": ((8,), 6, 0.5, 1), "depthwise_norm/beta": ((8,), 7, 0.5, 0.5),
    "pointwise/kernel": ((8, 1, 1, 8), 8, 0.5, 0),
    "pointwise_norm/gamma": ((8,), 9, 0.5, 1), "pointwise_norm/beta": ((8,), 10, 0.5, 0),
    "dense/kernel": ((CLASSES, 32), 11, 0.3, 0), "dense/bias": ((CLASSES,), 12, 0.1, 0),
}
NORMS = ["conv_norm", "depthwise_norm", "pointwise_norm"]


def main():
    weights = {
        name: torch.tensor(values(shape, seed) * np.float32(factor) + np.float32(offset), requires_grad=True)
        for name, (shape, seed, factor, offset) in WEIGHTS.items()
    }
    moving = {name: [torch.zeros(8), torch.ones(8)] for name in NORMS}
    x = torch.tensor(values((PICTURES, 8, 8, 3), 20)).permute(0, 3, 1, 2)
    labels = torch.arange(PICTURES) % CLASSES

    def norm(x, name):
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        for old, new in zip(moving[name], (mean, variance)):
            old.mul_(KEEP).add_(new.detach() * (1 - KEEP))
        return F.batch_norm(x, None, None, weights[name + "/gamma"], weights[name + "/beta"], True, 0, EPSILON)

    def forward():
        y = F.conv2d(x, weights["conv/kernel"].permute(0, 3, 1, 2), padding=1)
        y = F.relu6(norm(y, "conv_norm"))
        kernel = weights["depthwise/depthwise_kernel"].permute(3, 0, 1, 2)
        # TensorFlow's SAME: the odd row and column of padding come last.
        y = F.conv2d(F.pad(y, (0, 1, 0, 1)), kernel, weights["depthwise/bias"], stride=2, groups=8)
        y = F.relu6(norm(y, "depthwise_norm"))
        z = norm(F.conv2d(y, weights["pointwise/kernel"].permute(0, 3, 1, 2)), "pointwise_norm")
        y = F.avg_pool2d(F.relu(y + z), 2).permute(0, 2, 3, 1).flatten(1)
        return F.linear(y, weights["dense/kernel"], weights["dense/bias"])

    optimizer = torch.optim.SGD(weights.values(), lr=RATE, momentum=MOMENTUM)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = F.cross_entropy(forward(), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    result = {name: weight.detach().flatten().tolist() for name, weight in weights.items()}
    for name, (mean, variance) in moving.items():
        result[name + "/moving_mean"] = mean.tolist()
        result[name + "/moving_variance"] = variance.tolist()
    result = {name: [float(f"{value:.7g}") for value in numbers] for name, numbers in result.items()}
    path = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).with_name("golden_training.json"))
    path.write_text(json.dumps({"torch": torch.__version__, "losses": losses, "weights": result}) + "\n")


main()
