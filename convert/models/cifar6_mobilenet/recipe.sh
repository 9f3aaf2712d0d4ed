#!/bin/sh
# Trains model.safetensors from nothing. `mote` is target/release/mote.
set -eu
mote new mobilenet-cifar --alpha 0.25 --seed 1 -o new.safetensors
mote train --base new.safetensors --data cifar10 \
    --classes airplane,automobile,bird,cat,dog,ship \
    --train all --augment flip,crop --epochs 15 --batch 128 \
    --optimizer sgd --lr 0.1 --warmup 1 --weight-decay 5e-4 \
    --label-smoothing 0.05 --validation 0.05 --seed 1 \
    -o model.safetensors
