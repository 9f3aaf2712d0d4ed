#!/usr/bin/env python3
"""The steps of `cargo run --release -p mote-benches --bin train` in PyTorch.

    pip install torch numpy        # or `cargo xtask pytorch`, which runs both
    OMP_NUM_THREADS=2 python benches/train_pytorch.py [PART_OF_A_NAME]

Of PyTorch's two memory formats the faster one is printed.
"""

import os
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

BUDGET = 6.0  # seconds a network and memory format


def norm(channels):
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class Residual(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1), norm(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1), norm(outputs),
        )
        self.skip = nn.Conv2d(inputs, outputs, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x):
        return F.relu(self.body(x) + self.skip(x))


def resnet8():
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 1, 1), norm(16), nn.ReLU(),
        Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 64, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )


def mobilenet(stem, stem_stride, blocks, classes, relu, with_norms=True):
    def after(channels):
        return [norm(channels), relu()] if with_norms else [relu()]

    bias = not with_norms
    layers = [nn.Conv2d(3, stem, 3, stem_stride, 1, bias=bias), *after(stem)]
    inputs = stem
    for outputs, stride in blocks:
        layers += [nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=bias), *after(inputs)]
        layers += [nn.Conv2d(inputs, outputs, 1, bias=bias), *after(outputs)]
        inputs = outputs
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes)]
    return nn.Sequential(*layers)


CIFAR = [(48, 1), (64, 2), (64, 1), (128, 2), (128, 1), (128, 1), (224, 2), (224, 1)]
V1 = [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2)] + [(128, 1)] * 5 + [(256, 2), (256, 1)]

NETWORKS = [
    ("ResNet-8 step", resnet8, 32, 10, 64),
    ("CIFAR-10 MobileNet step", lambda: mobilenet(24, 1, CIFAR, 10, nn.ReLU), 32, 10, 64),
    ("VWW MobileNetV1 0.25 step", lambda: mobilenet(8, 2, V1, 2, nn.ReLU), 96, 2, 32),
    ("MobileNetV1 0.25 224 forward",
     lambda: mobilenet(8, 2, V1, 1000, nn.ReLU6, with_norms=False), 224, 1000, 32),
]


def median(run):
    run()
    start, times = time.perf_counter(), []
    while time.perf_counter() - start < BUDGET or len(times) < 5:
        once = time.perf_counter()
        run()
        times.append(time.perf_counter() - once)
    return sorted(times)[len(times) // 2]


def measure(name, make, side, classes, batch, memory_format):
    torch.manual_seed(0)
    model = make().to(memory_format=memory_format)
    x = torch.rand(batch, 3, side, side).contiguous(memory_format=memory_format)
    y = torch.arange(batch) % classes
    if name.endswith("forward"):
        model.eval()

        def run():
            with torch.inference_mode():
                model(x)
    else:
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)

        def run():
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()

    return median(run)


def main():
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count())))
    part = sys.argv[1] if len(sys.argv) > 1 else ""
    for name, make, side, classes, batch in NETWORKS:
        if part in name:
            formats = (torch.contiguous_format, torch.channels_last)
            seconds = min(measure(name, make, side, classes, batch, f) for f in formats)
            print(f"{name:30} batch {batch}  {seconds * 1e3:8.1f} ms  {batch / seconds:8.0f} images/s", flush=True)


main()
