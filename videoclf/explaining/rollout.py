"""Attention rollout: how much of each token there is in what a transformer's class head reads.

A block hands on its tokens plus what they attend to, which counts half each:

    A_l = (W_l + I) / 2,   W_l the attention of block l, averaged over heads; rows sum to 1
    rollout = A_L ... A_2 A_1

Read is the row of the class token, or the mean of all rows where the head reads the mean of all
tokens, or what a pooler's query attends to. Only this row is carried through the product, from the
last block to the first.

Attention divided into time and space is one matrix over all T N tokens for each of the two: over
space, a token takes from the tokens of its frame; over time, from those of its place. A divided
block is then A_space A_time, in the order in which it attends; of factorised heads, half see space
and half time, and W is the mean of both matrices. A class token that stands in every frame takes
the mean of what it takes from each.

What the rollout leaves out: values, MLPs and the size of residuals. It says where tokens came from,
for any class alike, not what speaks for one. Pooled and windowed attention (MViT, Swin) mix tokens
that are not those of the block before; for them there is Grad-CAM.

Source: Abnar and Zuidema 2020, "Quantifying Attention Flow in Transformers", section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

import torch
from einops import einsum, rearrange, reduce, repeat
from torch import nn

from videoclf.explaining.grids import token_grid
from videoclf.explaining.recording import RecordedAttention
from videoclf.models.timesformer import TimeSformer
from videoclf.models.videomae import VideoMAE
from videoclf.models.vivit import ViViT
from videoclf.models.vjepa2 import VJEPA2

Weights = Sequence[torch.Tensor]


def rollout(model: nn.Module, rgb: torch.Tensor) -> torch.Tensor:
    """Roll out the attention that a model pays to a clip.

    Args:
        model: a transformer that `has_rollout`, in eval mode.
        rgb: one clip, float (1, 3, T, H, W).

    Returns:
        float32 (steps, rows, columns), the share of each patch or tubelet; they sum to 1. What
        the class token has of itself is left out.

    Raises:
        ValueError: its attention cannot be rolled out.
    """
    if not has_rollout(model):
        raise ValueError(
            f"attention rollout is not defined for {type(model).__name__}; take --method=grad-cam"
        )
    with torch.no_grad(), RecordedAttention() as recorded:
        model(rgb)
    shares = roll_out(model, recorded.weights)  # (steps * rows * columns,)
    steps, rows, columns = token_grid(model, rgb)
    shares = rearrange(shares, "(t h w) -> t h w", t=steps, h=rows, w=columns)
    return shares / shares.sum()


def has_rollout(model: nn.Module) -> bool:
    """Whether the attention of a model can be rolled out."""
    return roll_out.dispatch(type(model)) is not roll_out.dispatch(object)


@singledispatch
def roll_out(model: nn.Module, weights: Weights) -> torch.Tensor:
    """Return the share of each token but the class token in what the class head reads.

    Args:
        model: whose attention it is.
        weights: of each call, in order, for one clip; see `RecordedAttention`.

    Returns:
        (T N,), frame by frame; their sum and what the class token has of itself is 1.
    """
    raise TypeError(f"no rollout of {len(weights)} attentions of a {type(model).__name__}")


@roll_out.register
def _(model: TimeSformer, weights: Weights) -> torch.Tensor:
    if model.attention == "joint":
        return from_class_token(weights)
    if model.attention == "space":
        frames = from_class_tokens(weights)  # (T, N)
        return rearrange(frames / len(frames), "t n -> (t n)")
    num_places, num_frames = weights[0].shape[:2]
    rows = one_hot(1 + num_frames * num_places, weights[0])
    for over_time, over_space in zip(weights[-2::-2], weights[::-2], strict=True):
        rows = (rows + within_frames(rows, over_space, num_classes=1)) / 2
        rows = (rows + within_places(rows, over_time, num_classes=1)) / 2
    return rows[0, 1:]


@roll_out.register
def _(model: ViViT, weights: Weights) -> torch.Tensor:
    if model.factorisation == "joint":
        return from_class_token(weights)
    if model.factorisation == "factorised_encoder":
        depth = len(model.blocks)
        places = from_class_tokens(weights[:depth])  # (N_t, N_s)
        steps = from_class_token(weights[depth:])  # (N_t,)
        return rearrange(steps[:, None] * places, "t n -> (t n)")
    num_steps, num_places = weights[0].shape[:2]
    rows = weights[0].new_full((1, num_steps * num_places), 1 / (num_steps * num_places))
    for over_space, over_time in zip(weights[-2::-2], weights[::-2], strict=True):
        if model.factorisation == "factorised_heads":
            seen = within_frames(rows, over_space) + within_places(rows, over_time)
            rows = (rows + seen / 2) / 2
        else:
            rows = (rows + within_places(rows, over_time)) / 2
            rows = (rows + within_frames(rows, over_space)) / 2
    return rows[0]


@roll_out.register
def _(model: VideoMAE, weights: Weights) -> torch.Tensor:  # noqa: ARG001
    num_tokens = weights[0].shape[-1]
    rows = weights[0].new_full((1, num_tokens), 1 / num_tokens)  # the head reads the mean
    return through(rows, [joint[0] for joint in weights])[0]


@roll_out.register
def _(model: VJEPA2, weights: Weights) -> torch.Tensor:  # noqa: ARG001
    *blocks, asked = weights  # of the pooler's query, (1, 1, N)
    return through(asked[0], [joint[0] for joint in blocks])[0]


def from_class_token(weights: Weights) -> torch.Tensor:
    """Roll out joint attention (1, 1 + N, 1 + N) a block from the class token: (N,)."""
    joint = [block[0] for block in weights]
    return through(one_hot(len(joint[0]), joint[0]), joint)[0, 1:]


def from_class_tokens(weights: Weights) -> torch.Tensor:
    """Roll out attention within each frame, (T, 1 + N, 1 + N) a block: (T, N)."""
    frames = [through(one_hot(len(f[0]), f[0]), f) for f in torch.stack(list(weights), dim=1)]
    return torch.cat(frames)[:, 1:]


def through(rows: torch.Tensor, weights: Sequence[torch.Tensor] | torch.Tensor) -> torch.Tensor:
    """Carry rows (R, S) through joint attention (S, S) of all blocks, the last one first."""
    for joint in reversed(list(weights)):
        rows = (rows + rows @ joint) / 2
    return rows


def within_frames(
    rows: torch.Tensor, weights: torch.Tensor, *, num_classes: int = 0
) -> torch.Tensor:
    """Multiply rows by the matrix over all tokens of attention over space.

    Args:
        rows: (R, C + T N), frame by frame after the class token, if there is one.
        weights: (T, C + N, C + N), of each frame.
        num_classes: C, 1 where a class token stands in every frame, and is averaged after it.

    Returns:
        (R, C + T N).
    """
    num_frames = len(weights)
    first = repeat(rows[:, :num_classes] / num_frames, "r c -> r t c", t=num_frames)
    places = rearrange(rows[:, num_classes:], "r (t n) -> r t n", t=num_frames)
    seen = einsum(torch.cat([first, places], dim=2), weights, "r t i, t i j -> r t j")
    first = reduce(seen[:, :, :num_classes], "r t c -> r c", "sum")
    places = rearrange(seen[:, :, num_classes:], "r t n -> r (t n)")
    return torch.cat([first, places], dim=1)


def within_places(
    rows: torch.Tensor, weights: torch.Tensor, *, num_classes: int = 0
) -> torch.Tensor:
    """Multiply rows by the matrix over all tokens of attention over time.

    Args:
        rows: (R, C + T N), frame by frame after the class token, if there is one.
        weights: (N, T, T), of each place.
        num_classes: C, 1 where there is a class token, which takes no part.

    Returns:
        (R, C + T N).
    """
    first, places = rows[:, :num_classes], rows[:, num_classes:]
    places = rearrange(places, "r (t n) -> r t n", n=len(weights))
    seen = einsum(places, weights, "r i n, n i j -> r j n")
    return torch.cat([first, rearrange(seen, "r t n -> r (t n)")], dim=1)


def one_hot(num_tokens: int, like: torch.Tensor) -> torch.Tensor:
    """Return the row of the first of so many tokens, (1, num_tokens), of the type of another."""
    row = like.new_zeros(1, num_tokens)
    row[0, 0] = 1
    return row
