"""Attentive pooling: a learnt query asks all tokens of a clip, instead of their mean.

    q' = q + W_o softmax(Q K^T / sqrt(D / heads)) V,   Q of the query, K and V of LN(tokens)
    pooled = q' + MLP(LN(q'))

V-JEPA 2 (`videoclf.models.vjepa2`) has no W_o.

Source: Bardes et al. 2024, "Revisiting Feature Prediction for Learning Visual Representations from
Video" (V-JEPA), section 4 and its code's `AttentivePooler` of one block.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import nn
from torch.nn import functional as F

from videoclf.models.blocks.transformer import MLP


class AttentivePool(nn.Module):
    """One cross-attention of a learnt query to tokens, then an MLP.

    Args:
        width: D of the tokens.
        num_heads: among which D is shared.
        mlp_ratio: width inside the MLP, in D.
        output_projection: whether there is a W_o.

    Raises:
        ValueError: a width that the heads cannot share.
    """

    def __init__(
        self, width: int, num_heads: int, mlp_ratio: float, *, output_projection: bool = True
    ) -> None:
        super().__init__()
        if num_heads < 1 or width % num_heads:
            raise ValueError(
                f"tokens of width {width} cannot be shared by head.num_heads={num_heads}; give a "
                "divisor"
            )
        self.num_heads = num_heads
        self.query = nn.Parameter(torch.zeros(1, 1, width))
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width) if output_projection else nn.Identity()
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = MLP(width, round(width * mlp_ratio))
        nn.init.trunc_normal_(self.query, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Pool tokens (B, N, D) -> (B, D)."""
        query = rearrange(self.q(self.query), "1 1 (heads d) -> 1 heads 1 d", heads=self.num_heads)
        key, value = rearrange(
            self.kv(self.norm1(tokens)),
            "b n (two heads d) -> two b heads n d",
            two=2,
            heads=self.num_heads,
        )
        query = query.expand(len(tokens), -1, -1, -1)
        found = F.scaled_dot_product_attention(query, key, value)  # (B, heads, 1, d)
        answer = self.query[0] + self.proj(rearrange(found, "b heads 1 d -> b (heads d)"))
        pooled: torch.Tensor = answer + self.mlp(self.norm2(answer))  # (B, D)
        return pooled
