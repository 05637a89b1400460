"""The file of weights that the crate holds: vectors as 32-bit floats; matrices row by row, a 32-bit scale and then 8-bit integers."""

import os

import torch

import model


def tensors(parameters):
    """Vectors and matrices in the order of the file."""
    yield parameters["embed"]
    for layer in range(model.LAYERS):
        yield parameters[f"{layer}.attention_norm"]
        yield from parameters[f"{layer}.qkv"].chunk(3)
        yield parameters[f"{layer}.o"]
        yield parameters[f"{layer}.feed_forward_norm"]
        yield from parameters[f"{layer}.gate_up"].chunk(2)
        yield parameters[f"{layer}.down"]
    yield parameters["norm"]


def write(parameters, path):
    """Writes the file in the place of one that is there."""
    aside = path.with_suffix(".partial")
    with open(aside, "wb") as file:
        for tensor in tensors(parameters):
            if tensor.dim() == 1:
                file.write(tensor.numpy().astype("<f4").tobytes())
                continue
            for row in tensor:
                scale = max(row.abs().max().item() / 127, 1e-12)
                file.write(torch.tensor(scale).numpy().astype("<f4").tobytes())
                file.write(torch.round(row / scale).clamp(-127, 127).to(torch.int8).numpy().tobytes())
    os.replace(aside, path)


def manifest(weights, merges, facts):
    """What the crate's test compares the committed files with, and how they came to be."""
    return {"weights": fingerprint(weights), "merges": fingerprint(merges)} | facts


def fingerprint(path):
    """The FNV-1a hash of a file, in hexadecimal."""
    value = 0xCBF29CE484222325
    for byte in path.read_bytes():
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"
