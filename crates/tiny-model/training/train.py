"""Trains the tiny model on the files that `cargo xtask tiny-model --train` makes, with one process per core."""

import argparse
import json
import os
import shutil
import time
from pathlib import Path

import numpy
import torch
import torch.distributed
import torch.multiprocessing
import torch.nn.functional as F

import model
import weights

BEGIN = model.VOCABULARY - 5
WANTED = 1 << 15
DTYPE = torch.bfloat16

# Share of the steps, length of a sequence, and the share of each kind of text: random tokens said twice, copying, all.
STAGES = [
    (0.04, 128, (0.2, 0.8, 0.0)),
    (0.16, 256, (0.0, 0.5, 0.5)),
    (0.60, 448, (0.0, 0.03, 0.97)),
    (0.20, 768, (0.0, 0.0, 1.0)),
]


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, required=True, help="the folder with merges.txt, copying.bin and all.bin")
    arguments.add_argument("--out", type=Path, required=True, help="the folder for weights.bin, which is replaced while training, merges.txt and manifest.json")
    arguments.add_argument("--minutes", type=float, default=52, help="how long to train")
    arguments.add_argument("--tokens", type=int, default=4096, help="tokens of a step")
    arguments.add_argument("--rate", type=float, default=0.02, help="learning rate of the matrices")
    arguments.add_argument("--processes", type=int, default=2)
    arguments.add_argument("--seed", type=int, default=1)
    arguments = arguments.parse_args()
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", str(20_000 + os.getpid() % 20_000))
    torch.multiprocessing.spawn(train, (arguments,), arguments.processes)


class Documents:
    """Conversations of a file, packed into sequences in an order of their own for each process."""

    def __init__(self, path, rank, processes):
        raw = numpy.fromfile(path, dtype=numpy.uint16)
        self.tokens = (raw & (WANTED - 1)).astype(numpy.int64)
        self.wanted = (raw & WANTED) != 0
        starts = numpy.flatnonzero(self.tokens == BEGIN)
        self.starts = starts
        self.ends = numpy.append(starts[1:], len(raw))
        self.next = rank
        self.step = processes

    def sequence(self, length):
        """Whole conversations, one behind the other, as many as fit: tokens, what is wanted, and the number of each conversation."""
        tokens = numpy.zeros(length + 1, numpy.int64)
        wanted = numpy.zeros(length + 1, bool)
        number = numpy.zeros(length + 1, numpy.int64)
        used = 0
        count = 0
        misses = 0
        while misses < 6 and used < length - 16:
            index = self.next % len(self.starts)
            self.next += self.step
            start, end = self.starts[index], self.ends[index]
            size = end - start
            if used + size > length + 1:
                misses += 1
                continue
            count += 1
            tokens[used : used + size] = self.tokens[start:end]
            wanted[used : used + size] = self.wanted[start:end]
            number[used : used + size] = count
            used += size
        return tokens, wanted, number


class Echoes:
    """Random tokens said twice: what teaches to copy before anything else."""

    def __init__(self, seed):
        self.random = numpy.random.default_rng(seed)

    def sequence(self, length):
        tokens = numpy.zeros(length + 1, numpy.int64)
        wanted = numpy.zeros(length + 1, bool)
        number = numpy.zeros(length + 1, numpy.int64)
        used = 0
        count = 0
        while used < length - 8:
            size = min(int(self.random.integers(4, 48)), (length + 1 - used - 1) // 2)
            said = self.random.integers(0, BEGIN, size)
            count += 1
            tokens[used] = BEGIN
            tokens[used + 1 : used + 1 + size] = said
            tokens[used + 1 + size : used + 1 + 2 * size] = said
            # The first of them cannot be known.
            wanted[used + 2 + size : used + 1 + 2 * size] = True
            number[used : used + 1 + 2 * size] = count
            used += 1 + 2 * size
        return tokens, wanted, number


def orthogonal(stack):
    """The nearest matrices whose singular values are about one, by Newton and Schulz's iteration. Rows are not more than columns."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = (stack / (stack.norm(dim=(1, 2), keepdim=True) + 1e-7)).bfloat16()
    for _ in range(5):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.float()


class Optimizer:
    """Muon for the layers' matrices, each of the stacked ones by itself, and Adam for the rest.

    The processes share the work on matrices."""

    PARTS = {"qkv": 3, "o": 1, "gate_up": 2, "down": 1}

    def __init__(self, parameters, rank, processes):
        self.parameters = parameters
        self.rank = rank
        self.processes = processes
        self.first = {name: torch.zeros_like(value) for name, value in parameters.items()}
        self.second = {name: torch.zeros_like(value) for name, value in parameters.items()}
        self.steps = 0

    def step(self, gradients, rate, scale):
        """`rate` is the one of the matrices, `scale` the share of the highest rate that is due now."""
        self.steps += 1
        momentum = min(0.95, 0.85 + self.steps / 3000)
        by_shape = {}
        for name, value in self.parameters.items():
            gradient, first, second = gradients[name], self.first[name], self.second[name]
            kind = name.split(".")[-1]
            if kind in self.PARTS:
                first.mul_(momentum).add_(gradient)
                direction = gradient + momentum * first
                value.mul_(1 - rate * scale * 0.05)
                for part, target in zip(direction.chunk(self.PARTS[kind]), value.chunk(self.PARTS[kind]), strict=True):
                    tall = part.shape[0] > part.shape[1]
                    part = part.T if tall else part
                    by_shape.setdefault(part.shape, []).append((part, tall, target))
            else:
                first.lerp_(gradient, 0.1)
                second.lerp_(gradient.square(), 0.05)
                corrected = first / (1 - 0.9**self.steps)
                size = (second / (1 - 0.95**self.steps)).sqrt() + 1e-8
                value.addcdiv_(corrected, size, value=-scale * 0.004)
        for group in by_shape.values():
            stack = torch.stack([part for part, _, _ in group])
            share = -(-len(group) // self.processes)
            mine = slice(self.rank * share, (self.rank + 1) * share)
            done = torch.zeros_like(stack)
            if len(stack[mine]):
                done[mine] = orthogonal(stack[mine])
            torch.distributed.all_reduce(done)
            for made, (_, tall, target) in zip(done, group, strict=True):
                shape = max(1.0, target.shape[0] / target.shape[1]) ** 0.5
                target.add_(made.T if tall else made, alpha=-rate * scale * shape)


def train(rank, arguments):
    torch.set_num_threads(1)
    processes = arguments.processes
    torch.distributed.init_process_group("gloo", rank=rank, world_size=processes)
    parameters = model.initial(arguments.seed)
    optimizer = Optimizer(parameters, rank, processes)
    sources = [
        Echoes(1000 + rank),
        Documents(arguments.data / "copying.bin", rank, processes),
        Documents(arguments.data / "all.bin", rank, processes),
    ]
    choose = numpy.random.default_rng(rank)
    names = list(parameters)
    sizes = [parameters[name].numel() for name in names]
    start = time.monotonic()
    average = [None] * len(sources)
    step = seen = targets = 0
    shown = saved = start
    last = {}
    while True:
        # All processes go by the first one's clock.
        clock = torch.tensor([(time.monotonic() - start) / (arguments.minutes * 60)])
        torch.distributed.broadcast(clock, 0)
        progress = clock.item()
        if progress >= 1:
            break
        length, shares = stage(progress)
        kind = choose.choice(len(sources), p=shares)
        rows = max(1, arguments.tokens // processes // length)
        tokens, wanted, number = map(numpy.stack, zip(*(sources[kind].sequence(length) for _ in range(rows)), strict=True))
        if length not in last:
            last = {length: (model.rotation(length, DTYPE), torch.ones(length, length).tril().bool())}
        (cosines, sines), causal = last[length]
        tokens, number = torch.from_numpy(tokens), torch.from_numpy(number[:, :-1])
        same = (number[:, :, None] == number[:, None, :]) & causal
        mask = torch.zeros(same.shape, dtype=DTYPE).masked_fill_(~same, -1e4)[:, None]
        places = torch.from_numpy(wanted[:, 1:].reshape(-1)).nonzero()[:, 0]
        goal = tokens[:, 1:].reshape(-1)[places]

        working = {name: value.to(DTYPE).requires_grad_() for name, value in parameters.items()}
        out = model.logits(working, tokens[:, :-1], mask, places, cosines, sines)
        loss = F.cross_entropy(out.float(), goal, reduction="sum")
        gradients = torch.autograd.grad(loss, [working[name] for name in names])
        flat = torch.cat([*(gradient.float().reshape(-1) for gradient in gradients), torch.tensor([float(len(goal))])])
        torch.distributed.all_reduce(flat)
        flat /= flat[-1].clone()
        norm = flat[:-1].norm().item()
        flat *= min(1.0, 1.0 / max(norm, 1e-9))
        gradients = {
            name: part.view_as(parameters[name]) for name, part in zip(names, flat[:-1].split(sizes), strict=True)
        }
        optimizer.step(gradients, arguments.rate, schedule(progress, step))

        step += 1
        seen += rows * length * processes
        targets += len(goal) * processes
        mean = loss.item() / max(len(goal), 1)
        average[kind] = mean if average[kind] is None else 0.95 * average[kind] + 0.05 * mean
        now = time.monotonic()
        if rank == 0 and now - shown > 10:
            shown = now
            losses = " ".join("-" if value is None else f"{value:.3f}" for value in average)
            print(f"{now - start:6.0f}s step {step} tokens {seen / 1e6:.2f}M wanted {targets / 1e6:.2f}M length {length} loss {losses} norm {norm:.2f}", flush=True)
        if rank == 0 and now - saved > 120:
            saved = now
            weights.write(parameters, arguments.out / "weights.bin")
    if rank == 0:
        facts = {"minutes": arguments.minutes, "steps": step, "tokens": seen, "answer_tokens": targets, "seed": arguments.seed, "loss": round(average[-1], 3)}
        finish(parameters, arguments, facts)
    torch.distributed.destroy_process_group()


def finish(parameters, arguments, facts):
    """Writes the weights, the merges that they go with, and the manifest."""
    merges = arguments.out / "merges.txt"
    shutil.copyfile(arguments.data / "merges.txt", merges)
    path = arguments.out / "weights.bin"
    weights.write(parameters, path)
    manifest = weights.manifest(path, merges, facts)
    (arguments.out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


def stage(progress):
    for share, length, shares in STAGES:
        progress -= share
        if progress < 0:
            break
    return length, shares


def schedule(progress, step):
    """Up in a hundred steps, level, and down to nothing over the last half."""
    warm = min(1.0, (step + 1) / 100)
    return warm * min(1.0, max(0.0, 1 - progress) / 0.5)


if __name__ == "__main__":
    main()
