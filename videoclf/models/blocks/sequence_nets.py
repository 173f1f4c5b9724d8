"""Sequence nets: what each step of a clip knows, from the maps of all steps before it, or of all.

Each takes maps (B, S, C, H, W) and returns the steps (B, S, outputs) and a summary of the clip
(B, outputs). Where `bidirectional` is false, step s depends on the maps 1..s alone.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from videoclf.models.blocks.convolutional_recurrence import RecurrentLayer


class SequenceNet(nn.Module):
    """Maps (B, S, C, H, W) -> what each step knows (B, S, outputs), and the clip (B, outputs)."""

    outputs: int


class VectorRNN(SequenceNet):
    """An LSTM or GRU over flattened maps; summary: the state when all steps are read."""

    def __init__(
        self,
        rnn: type[nn.LSTM] | type[nn.GRU],
        inputs: int,
        hidden_size: int,
        num_layers: int,
        bidirectional: bool,
        dropout: float,
        forget_gate_bias: float | None,
    ) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.outputs = hidden_size * (2 if bidirectional else 1)
        self.rnn = rnn(
            inputs,
            hidden_size,
            num_layers,
            batch_first=True,
            bidirectional=bidirectional,
            dropout=dropout if num_layers > 1 else 0.0,  # it lies between layers
        )
        if forget_gate_bias is not None:
            for name, bias in self.rnn.named_parameters():
                if name.startswith("bias"):  # gates i, f, g, o; b_ih and b_hh add up
                    value = forget_gate_bias if name.startswith("bias_ih") else 0.0
                    nn.init.constant_(bias[hidden_size : 2 * hidden_size], value)

    def forward(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Read the steps."""
        steps, _ = self.rnn(maps.flatten(2))  # (B, S, outputs)
        ahead, back = steps[:, -1, : self.hidden_size], steps[:, 0, self.hidden_size :]
        return steps, torch.cat([ahead, back], dim=1)


class ConvLSTM(SequenceNet):
    """Convolutional LSTM layers on maps; summary: the state when all steps are read."""

    def __init__(
        self,
        channels: int,
        hidden_size: int,
        num_layers: int,
        kernel_size: int,
        bidirectional: bool,
        forget_gate_bias: float | None,
    ) -> None:
        super().__init__()
        self.outputs = hidden_size * (2 if bidirectional else 1)
        self.layers = nn.ModuleList(
            RecurrentLayer(
                cell="lstm",
                inputs=channels if index == 0 else self.outputs,
                hidden=hidden_size,
                kernel_size=kernel_size,
                stride=1,
                input_norm=False,
                bidirectional=bidirectional,
                forget_gate_bias=forget_gate_bias,
            )
            for index in range(num_layers)
        )

    def forward(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Read the steps."""
        ends = maps[:, -1]
        for layer in self.layers:
            maps, ends = layer(maps)  # (B, S, outputs, H, W), (B, outputs, H, W)
        return maps.mean(dim=(3, 4)), ends.mean(dim=(2, 3))


class TemporalConvolution(SequenceNet):
    """s <- s + ReLU(W *_d LN(s)), dilation d = 2^layer; summary: the last step, or their mean."""

    def __init__(
        self,
        inputs: int,
        hidden_size: int,
        num_layers: int,
        kernel_size: int,
        bidirectional: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"model.kernel_size={kernel_size} has no middle: use an odd one")
        self.outputs = hidden_size
        self.bidirectional = bidirectional
        self.embed = nn.Linear(inputs, hidden_size)
        self.norms = nn.ModuleList(nn.LayerNorm(hidden_size) for _ in range(num_layers))
        self.convolutions = nn.ModuleList(
            nn.Conv1d(hidden_size, hidden_size, kernel_size, dilation=2**index)
            for index in range(num_layers)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Read the steps."""
        steps = self.embed(maps.flatten(2))  # (B, S, D)
        for index, (norm, convolution) in enumerate(
            zip(self.norms, self.convolutions, strict=True)
        ):
            reach = 2**index * (convolution.kernel_size[0] - 1)  # type: ignore[index]
            ends = (reach // 2, reach // 2) if self.bidirectional else (reach, 0)
            past = F.pad(norm(steps).transpose(1, 2), ends)  # (B, D, S + reach)
            steps = steps + self.dropout(convolution(past).relu().transpose(1, 2))
        return steps, steps.mean(dim=1) if self.bidirectional else steps[:, -1]


class TemporalTransformer(SequenceNet):
    """A pre-norm transformer over the steps; summary: the last step, or the mean of all."""

    def __init__(
        self,
        inputs: int,
        hidden_size: int,
        num_layers: int,
        num_heads: int,
        bidirectional: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        if hidden_size % (2 * num_heads):
            raise ValueError(
                f"model.hidden_size={hidden_size} must be a multiple of twice "
                f"model.num_heads={num_heads}"
            )
        self.outputs = hidden_size
        self.bidirectional = bidirectional
        self.embed = nn.Linear(inputs, hidden_size)
        layer = nn.TransformerEncoderLayer(
            hidden_size, num_heads, 4 * hidden_size, dropout, batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(
            layer, num_layers, norm=nn.LayerNorm(hidden_size), enable_nested_tensor=False
        )

    def forward(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Read the steps."""
        steps = self.embed(maps.flatten(2))  # (B, S, D)
        steps = steps + sine_positions(steps.shape[1], steps.shape[2]).to(steps)
        mask = None
        if not self.bidirectional:
            mask = nn.Transformer.generate_square_subsequent_mask(
                steps.shape[1], device=steps.device, dtype=steps.dtype
            )
        steps = self.encoder(steps, mask=mask, is_causal=mask is not None)
        return steps, steps.mean(dim=1) if self.bidirectional else steps[:, -1]


def sine_positions(num_steps: int, width: int) -> torch.Tensor:
    """Return sin(t / 10000^(2i/D)) and cos(...) side by side, (S, D)."""
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000) / width))  # (D/2,)
    angles = torch.arange(num_steps)[:, None] * rates  # (S, D/2)
    return torch.cat([angles.sin(), angles.cos()], dim=1)
