"""Recurrent layers whose every matrix product is a convolution; equations in `recurrent_cnn`.

A cell takes one step; a layer runs its cell over a clip, in one direction or in both.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn


class RecurrentLayer(nn.Module):
    """A cell run over time, or two in both directions, joined along the channels.

    Args:
        cell: tanh, gru or lstm.
        inputs: C of the maps.
        hidden: channels of the state of each direction.
        kernel_size: of all convolutions, an odd number.
        stride: of the input convolution.
        input_norm: batch norm instead of a bias on W * x_t.
        bidirectional: read the clip backwards, too.
        forget_gate_bias: at which an LSTM's forget gate starts; null leaves it at random.

    Raises:
        ValueError: an unknown cell, or an even kernel.
    """

    def __init__(
        self,
        *,
        cell: str,
        inputs: int,
        hidden: int,
        kernel_size: int,
        stride: int,
        input_norm: bool,
        bidirectional: bool = False,
        forget_gate_bias: float | None = None,
    ) -> None:
        super().__init__()
        self.directions = nn.ModuleList(
            OneDirection(
                cell=cell,
                inputs=inputs,
                hidden=hidden,
                kernel_size=kernel_size,
                stride=stride,
                input_norm=input_norm,
                backwards=backwards,
                forget_gate_bias=forget_gate_bias,
            )
            for backwards in (False, True)[: 1 + bidirectional]
        )
        self.outputs = hidden * len(self.directions)

    def forward(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Run over maps (B, T, C, H, W).

        Returns:
            The states at each step (B, T, outputs, H', W'), and those when all frames are read
            (B, outputs, H', W'): the last step's, and the first step's of the way back.
        """
        states = [direction(maps) for direction in self.directions]
        ends = [either[:, place] for either, place in zip(states, (-1, 0), strict=False)]
        return torch.cat(states, dim=2), torch.cat(ends, dim=1)


class OneDirection(nn.Module):
    """A cell run over time: maps (B, T, C, H, W) -> its states (B, T, hidden, H', W').

    W * x_t needs no state and is computed for all frames at once.
    """

    def __init__(
        self,
        *,
        cell: str,
        inputs: int,
        hidden: int,
        kernel_size: int,
        stride: int,
        input_norm: bool,
        backwards: bool,
        forget_gate_bias: float | None,
    ) -> None:
        super().__init__()
        cells: dict[str, type[TanhCell | GRUCell | LSTMCell]] = {
            "tanh": TanhCell,
            "gru": GRUCell,
            "lstm": LSTMCell,
        }
        if cell not in cells:
            raise ValueError(f"model.cell={cell!r} is none of {', '.join(cells)}")
        if kernel_size % 2 == 0:
            raise ValueError(f"model.kernel_size={kernel_size} has no middle: use an odd one")
        self.hidden = hidden
        self.backwards = backwards
        self.cell = cells[cell](hidden, kernel_size)
        gates = self.cell.num_gates * hidden
        self.read = nn.Conv2d(
            inputs, gates, kernel_size, stride, padding=kernel_size // 2, bias=not input_norm
        )
        self.norm = nn.BatchNorm2d(gates) if input_norm else nn.Identity()
        bias = self.norm.bias if isinstance(self.norm, nn.BatchNorm2d) else self.read.bias
        if isinstance(self.cell, LSTMCell) and forget_gate_bias is not None and bias is not None:
            nn.init.constant_(bias[hidden : 2 * hidden], forget_gate_bias)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Run over time from a state of zeros."""
        batch, num_frames = maps.shape[:2]
        read = self.norm(self.read(maps.flatten(0, 1)))  # (B*T, gates * hidden, H', W')
        read = read.reshape(batch, num_frames, *read.shape[1:])  # (B, T, ...)
        state = read.new_zeros(batch, self.cell.num_states * self.hidden, *read.shape[3:])
        states = []
        for step in range(num_frames):
            frame = num_frames - 1 - step if self.backwards else step
            state = self.cell(read[:, frame], state)
            states.append(state[:, : self.hidden])
        if self.backwards:
            states.reverse()
        return torch.stack(states, dim=1)  # (B, T, hidden, H', W')


class TanhCell(nn.Module):
    """(W * x_t, h_{t-1}) -> h_t of the plain RNN."""

    num_gates: ClassVar[int] = 1
    num_states: ClassVar[int] = 1

    def __init__(self, hidden: int, kernel_size: int) -> None:
        super().__init__()
        self.recur = state_convolution(hidden, hidden, kernel_size)

    def forward(self, read: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """Take one step, (B, hidden, H, W) twice -> the same shape."""
        return torch.tanh(read + self.recur(state))


class GRUCell(nn.Module):
    """(W * x_t, h_{t-1}) -> h_t of the gated recurrent unit; gates z, r, c in this order."""

    num_gates: ClassVar[int] = 3
    num_states: ClassVar[int] = 1

    def __init__(self, hidden: int, kernel_size: int) -> None:
        super().__init__()
        self.recur_gates = state_convolution(hidden, 2 * hidden, kernel_size)
        self.recur_candidate = state_convolution(hidden, hidden, kernel_size)

    def forward(self, read: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """Take one step, (B, 3 * hidden, H, W) and (B, hidden, H, W) -> (B, hidden, H, W)."""
        hidden = state.shape[1]
        gates = torch.sigmoid(read[:, : 2 * hidden] + self.recur_gates(state))
        z, r = gates.chunk(2, dim=1)
        candidate = torch.tanh(read[:, 2 * hidden :] + self.recur_candidate(r * state))
        return (1 - z) * state + z * candidate


class LSTMCell(nn.Module):
    """(W * x_t, [h; c]_{t-1}) -> [h; c]_t; gates i, f, c, o in this order."""

    num_gates: ClassVar[int] = 4
    num_states: ClassVar[int] = 2

    def __init__(self, hidden: int, kernel_size: int) -> None:
        super().__init__()
        self.recur = state_convolution(hidden, 4 * hidden, kernel_size)

    def forward(self, read: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """Take one step, (B, 4 * hidden, H, W) and (B, 2 * hidden, H, W) -> as the second."""
        hidden, memory = state.chunk(2, dim=1)
        write, forget, candidate, show = (read + self.recur(hidden)).chunk(4, dim=1)
        memory = forget.sigmoid() * memory + write.sigmoid() * candidate.tanh()
        return torch.cat([show.sigmoid() * memory.tanh(), memory], dim=1)


def state_convolution(hidden: int, outputs: int, kernel_size: int) -> nn.Conv2d:
    """Build the convolution on a state, drawn so that no step enlarges it.

    An orthogonal matrix from a patch to the outputs passes on each of the k^2 patches that a
    pixel is in, so 1 / k bounds the norm of each gate's map by 1.
    """
    convolution = nn.Conv2d(hidden, outputs, kernel_size, padding=kernel_size // 2, bias=False)
    for gate in convolution.weight.split(hidden):
        nn.init.orthogonal_(gate, gain=1 / kernel_size)
    return convolution
