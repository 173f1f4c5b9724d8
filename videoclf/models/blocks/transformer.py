"""The pieces of a vision transformer: attention, MLP and the block of both, pre-normalised.

Named as timm names them, so that the blocks take the weights of any ViT of timm as they are.
Sources: Vaswani et al. 2017, "Attention Is All You Need", equation 1; Dosovitskiy et al. 2021, "An
Image is Worth 16x16 Words", equations 2 and 3; stochastic depth: Huang et al. 2016.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import nn
from torch.nn import functional as F
from torchvision.ops import StochasticDepth


class SelfAttention(nn.Module):
    """Multi-head attention of all tokens to all tokens: softmax(Q K^T / sqrt(D / heads)) V.

    Args:
        width: D of the tokens.
        num_heads: among which D is shared.

    Raises:
        ValueError: a width that the heads cannot share.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        if width % num_heads:
            raise ValueError(
                f"model.width={width} cannot be shared by model.num_heads={num_heads}; "
                "give a multiple"
            )
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Attend: (B, N, D) -> (B, N, D)."""
        query, key, value = self.heads(tokens)
        mixed = F.scaled_dot_product_attention(query, key, value)  # (B, heads, N, D / heads)
        return self.join(mixed)

    def heads(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Project tokens (B, N, D) to queries, keys and values, each (B, heads, N, D / heads)."""
        query, key, value = rearrange(
            self.qkv(tokens),
            "b n (three heads d) -> three b heads n d",
            three=3,
            heads=self.num_heads,
        )
        return query, key, value

    def join(self, mixed: torch.Tensor) -> torch.Tensor:
        """Join the heads, (B, heads, N, D / heads) -> (B, N, D)."""
        joined: torch.Tensor = self.proj(rearrange(mixed, "b heads n d -> b n (heads d)"))
        return joined


class MLP(nn.Module):
    """Two linear layers with a GELU between, each token alone.

    Args:
        width: D of the tokens.
        hidden: width in between.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, N, D) -> (B, N, D)."""
        result: torch.Tensor = self.fc2(F.gelu(self.fc1(tokens)))
        return result


class TransformerBlock(nn.Module):
    """x + attention(norm(x)), then + MLP(norm(.)).

    Args:
        width: D of the tokens.
        num_heads: of the attention.
        mlp_ratio: width inside the MLP, in D.
        drop_path: chance that a sample skips a branch in training.
    """

    def __init__(self, width: int, num_heads: int, mlp_ratio: float, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = SelfAttention(width, num_heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = MLP(width, round(width * mlp_ratio))
        self.drop_path = StochasticDepth(drop_path, mode="row")

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, N, D) -> (B, N, D)."""
        tokens = tokens + self.drop_path(self.attn(self.norm1(tokens)))
        mixed: torch.Tensor = tokens + self.drop_path(self.mlp(self.norm2(tokens)))
        return mixed


def drop_path_rates(largest: float, depth: int) -> list[float]:
    """Return a rate a block, growing linearly from 0 to `largest`.

    Raises:
        ValueError: a rate outside [0, 1).
    """
    if not 0 <= largest < 1:
        raise ValueError(f"model.drop_path={largest} must be in [0, 1)")
    return [largest * block / max(1, depth - 1) for block in range(depth)]
