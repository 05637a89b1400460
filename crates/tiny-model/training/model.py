"""The model's architecture: Llama, with tied embeddings. Shapes are the ones of src/shape.rs."""

import torch
import torch.nn.functional as F

VOCABULARY = 1024
WIDTH = 192
LAYERS = 4
HEADS = 3
HEAD_WIDTH = 64
FEED_FORWARD = 512
EPSILON = 1e-5
THETA = 10_000.0


def initial(seed):
    """Parameters by name: float32, a row per output. Queries, keys and values are one matrix, and so are gate and up."""
    generator = torch.Generator().manual_seed(seed)

    def normal(rows, columns, deviation):
        return torch.randn(rows, columns, generator=generator) * deviation

    parameters = {"embed": normal(VOCABULARY, WIDTH, 0.05), "norm": torch.ones(WIDTH)}
    for layer in range(LAYERS):
        parameters |= {
            f"{layer}.attention_norm": torch.ones(WIDTH),
            f"{layer}.qkv": normal(3 * HEADS * HEAD_WIDTH, WIDTH, WIDTH**-0.5),
            f"{layer}.o": normal(WIDTH, HEADS * HEAD_WIDTH, 0.2 * WIDTH**-0.5),
            f"{layer}.feed_forward_norm": torch.ones(WIDTH),
            f"{layer}.gate_up": normal(2 * FEED_FORWARD, WIDTH, WIDTH**-0.5),
            f"{layer}.down": normal(WIDTH, FEED_FORWARD, 0.2 * FEED_FORWARD**-0.5),
        }
    return parameters


def rotation(length, dtype):
    """Cosines and sines of rotary embeddings, a row per position."""
    frequencies = THETA ** (-torch.arange(0, HEAD_WIDTH, 2).float() / HEAD_WIDTH)
    angles = torch.outer(torch.arange(length).float(), frequencies)
    angles = torch.cat([angles, angles], -1)
    return angles.cos().to(dtype), angles.sin().to(dtype)


class Attention(torch.autograd.Function):
    """Softmax attention with a mask. PyTorch's own backward pass for CPUs takes three times as long at these sizes."""

    @staticmethod
    def forward(context, query, key, value, mask):
        scores = query @ key.transpose(-1, -2)
        scores += mask
        weights = torch.softmax(scores, -1)
        context.save_for_backward(query, key, value, weights)
        return weights @ value

    @staticmethod
    def backward(context, gradient):
        query, key, value, weights = context.saved_tensors
        of_value = weights.transpose(-1, -2) @ gradient
        of_weights = gradient @ value.transpose(-1, -2)
        of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
        return of_scores @ key, of_scores.transpose(-1, -2) @ query, of_value, None


def logits(parameters, tokens, mask, wanted, cosines, sines):
    """The logits at the wanted places of the flattened tokens. `mask` is added to the attention's scores."""
    batch, length = tokens.shape
    hidden = F.embedding(tokens, parameters["embed"])
    half = HEAD_WIDTH // 2
    for layer in range(LAYERS):
        normed = F.rms_norm(hidden, (WIDTH,), parameters[f"{layer}.attention_norm"], EPSILON)
        heads = F.linear(normed, parameters[f"{layer}.qkv"]).view(batch, length, 3 * HEADS, HEAD_WIDTH).transpose(1, 2)
        turned = heads[:, : 2 * HEADS]
        turned = turned * cosines + torch.cat([-turned[..., half:], turned[..., :half]], -1) * sines
        seen = Attention.apply(turned[:, :HEADS] * HEAD_WIDTH**-0.5, turned[:, HEADS:], heads[:, 2 * HEADS :], mask)
        hidden = hidden + F.linear(seen.transpose(1, 2).reshape(batch, length, -1), parameters[f"{layer}.o"])
        normed = F.rms_norm(hidden, (WIDTH,), parameters[f"{layer}.feed_forward_norm"], EPSILON)
        gate, up = F.linear(normed, parameters[f"{layer}.gate_up"]).chunk(2, -1)
        hidden = hidden + F.linear(F.silu(gate) * up, parameters[f"{layer}.down"])
    hidden = F.rms_norm(hidden, (WIDTH,), parameters["norm"], EPSILON).reshape(batch * length, WIDTH)[wanted]
    return F.linear(hidden, parameters["embed"])
