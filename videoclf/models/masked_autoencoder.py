"""VideoMAE's pretraining network: most tubelets are hidden, and their pixels are to be predicted.

The encoder sees visible tokens only, so that nine tenths hidden leave it about a tenth of the work.
A light decoder, half as wide, gets what the encoder made of them, and one learned token for each
hidden place. What is hidden is hidden in every slice of time (a tube): otherwise the pixels of a
still background could be copied from the slice before. Only what was hidden counts in the loss.

Source: Tong et al. 2022, "VideoMAE", sections 3.2 and 3.3; the authors' modeling_pretrain.py; He et
al. 2022, "Masked Autoencoders Are Scalable Vision Learners", for the normalised pixels.
"""

from __future__ import annotations

import numpy as np
import torch
from einops import rearrange
from torch import nn
from torch.nn import functional as F

from videoclf.models.blocks.recomputation import run_block
from videoclf.models.videomae import (
    QueryValueBlock,
    TubeletEncoder,
    fit_positions,
    take_tokens,
)

#: Added to the standard deviation of a tubelet's pixels, of which an even surface has none.
EPSILON = 1e-6


class MaskedAutoencoder(nn.Module):
    """Encoder of visible tokens, decoder of all of them, pixels of the hidden ones.

    Args:
        encoder: of tubelets, such as that of a `VideoMAE`; its weights are drawn anew, as the
            authors draw them for pretraining.
        decoder_depth: blocks of the decoder, which has half the encoder's width and heads.

    Raises:
        ValueError: an encoder that cannot be halved, or a depth below 1.
    """

    def __init__(self, *, encoder: TubeletEncoder, decoder_depth: int) -> None:
        super().__init__()
        if encoder.width % 2 or (encoder.num_heads % 2 and encoder.num_heads > 1):
            raise ValueError(
                f"the decoder is half as wide as the encoder, and model.width={encoder.width} "
                f"with model.num_heads={encoder.num_heads} cannot be halved; give even numbers"
            )
        if decoder_depth < 1:
            raise ValueError(f"task.decoder_depth={decoder_depth} must be at least 1")
        width, num_heads = encoder.width // 2, max(1, encoder.num_heads // 2)
        self.encoder = encoder
        self.norm = nn.LayerNorm(encoder.width, eps=1e-6)
        self.to_decoder = nn.Linear(encoder.width, width, bias=False)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.decoder = nn.ModuleList(
            QueryValueBlock(width, num_heads, encoder.mlp_ratio, 0.0) for _ in range(decoder_depth)
        )
        self.decoder_norm = nn.LayerNorm(width, eps=1e-6)
        pixels = 3 * encoder.tubelet_frames * encoder.patch_pixels**2
        self.to_pixels = nn.Linear(width, pixels)
        positions = encoder.make_positions(width)  # (1, N, D / 2)
        self.register_buffer("decoder_positions", positions, persistent=False)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.trunc_normal_(self.mask_token, std=0.02)

    def layers(self) -> tuple[nn.Module, ...]:
        """Return the encoder's blocks from input to output; the decoder comes after the last."""
        return tuple(self.encoder.blocks)

    def forward(self, rgb: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """Predict the pixels of hidden tubelets.

        Args:
            rgb: clips, float (B, 3, T, H, W).
            hidden: bool (B, N), the same number of them in every clip.

        Returns:
            What the loss compares with pixels, float (B, M, P), of the M hidden tubelets in
            ascending order; P counts frames, rows, columns and channels of a tubelet, the channels
            fastest.
        """
        visible_places, hidden_places = places(~hidden), places(hidden)
        tokens = self.norm(self.encoder(rgb, visible_places))  # (B, V, D)
        grid = self.encoder.grid_of(*rgb.shape[2:])
        at = fit_positions(self.decoder_positions, self.encoder.grid, grid)  # type: ignore[arg-type]
        at = at.to(tokens).expand(len(rgb), -1, -1)  # (B, N, D / 2)
        seen = self.to_decoder(tokens) + take_tokens(at, visible_places)  # (B, V, D / 2)
        unseen = self.mask_token + take_tokens(at, hidden_places)  # (B, M, D / 2)
        both = torch.cat([seen, unseen], dim=1)  # (B, N, D / 2), visible ones first
        for block in self.decoder:
            both = run_block(block, both, checkpointed=self.encoder.checkpoint_activations)
        found: torch.Tensor = self.to_pixels(self.decoder_norm(both[:, seen.shape[1] :]))
        return found  # (B, M, P)


def places(chosen: torch.Tensor) -> torch.Tensor:
    """Return where bool (B, N) is true, int64 (B, V), ascending; V must be the same in each row."""
    found: torch.Tensor = chosen.nonzero()[:, 1].unflatten(0, (len(chosen), -1))
    return found


def draw_tubes(
    grid: tuple[int, int, int], mask_ratio: float, generator: np.random.Generator
) -> np.ndarray:
    """Draw which tubelets of a clip are hidden: the same places in every slice of time.

    Of 14 x 14 places a ratio of 0.9 hides int(176.4) = 176, which leaves 20 in each slice.

    Args:
        grid: tubelets in time, down and across.
        mask_ratio: share of the places that is hidden, rounded down.
        generator: what draws.

    Returns:
        bool (N,), in the order of the tokens.

    Raises:
        ValueError: a ratio that hides nothing or everything.
    """
    steps, rows, columns = grid
    num_places = rows * columns
    num_hidden = int(mask_ratio * num_places)
    if not 0 < num_hidden < num_places:
        raise ValueError(
            f"task.mask_ratio={mask_ratio} hides {num_hidden} of {num_places} places of a slice "
            f"({rows} x {columns} patches); give one in (0, 1) that hides some and leaves some"
        )
    tube = np.zeros(num_places, dtype=bool)
    tube[generator.permutation(num_places)[:num_hidden]] = True
    return np.tile(tube, steps)


def tubelet_pixels(pixels: torch.Tensor, *, tubelet_frames: int, patch_pixels: int) -> torch.Tensor:
    """Cut clips (B, 3, T, H, W) into tubelets (B, N, pixels of one channel, 3)."""
    cut: torch.Tensor = rearrange(
        pixels,
        "b c (t p0) (h p1) (w p2) -> b (t h w) (p0 p1 p2) c",
        p0=tubelet_frames,
        p1=patch_pixels,
        p2=patch_pixels,
    )
    return cut


def join_tubelets(
    tubelets: torch.Tensor, grid: tuple[int, int, int], *, tubelet_frames: int
) -> torch.Tensor:
    """Undo `tubelet_pixels`: (B, N, pixels of one channel, 3) -> clips (B, 3, T, H, W)."""
    steps, rows, columns = grid
    edge = round((tubelets.shape[2] / tubelet_frames) ** 0.5)
    joined: torch.Tensor = rearrange(
        tubelets,
        "b (t h w) (p0 p1 p2) c -> b c (t p0) (h p1) (w p2)",
        t=steps,
        h=rows,
        w=columns,
        p0=tubelet_frames,
        p1=edge,
        p2=edge,
    )
    return joined


def mean_and_deviation(tubelets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return of each tubelet and channel mean and deviation, (B, N, 1, 3) both.

    The deviation is that of the unbiased variance, plus 1e-6.
    """
    deviation = tubelets.var(2, unbiased=True, keepdim=True).sqrt() + EPSILON
    return tubelets.mean(2, keepdim=True), deviation


def reconstruction_loss(
    found: torch.Tensor,
    pixels: torch.Tensor,
    hidden: torch.Tensor,
    encoder: TubeletEncoder,
    *,
    normalised: bool,
) -> torch.Tensor:
    """Return each clip's mean squared error over its hidden tubelets.

    The target of a tubelet is its pixels; normalised, less their mean and over their deviation, by
    channel, of which an error of 1 is that of an even patch of the right colour.

    Args:
        found: what the network predicts, (B, M, P).
        pixels: of the clips, in [0, 1], float32 (B, 3, T, H, W).
        hidden: bool (B, N).
        encoder: whose tubelets they are.
        normalised: whether the target is.

    Returns:
        float32 (B,).
    """
    tubelets = tubelet_pixels(
        pixels, tubelet_frames=encoder.tubelet_frames, patch_pixels=encoder.patch_pixels
    )
    tubelets = tubelets[hidden].unflatten(0, (len(pixels), -1))  # (B, M, pixels, 3)
    if normalised:
        mean, deviation = mean_and_deviation(tubelets)
        tubelets = (tubelets - mean) / deviation
    target = tubelets.flatten(2)  # (B, M, P)
    return F.mse_loss(found.float(), target, reduction="none").mean((1, 2))
