"""Non-local block: every space-time position looks at every other one, whatever the distance.

When to use it: in the middle stages of a 3D network whose convolutions reach too short in time.

    y_i = 1/C(x) sum_j f(x_i, x_j) g(x_j),    z_i = BN(W_z y_i) + x_i

    gaussian           f = exp(x_i . x_j),                      C = sum_j f   (a softmax over j)
    embedded_gaussian  f = exp(theta(x_i) . phi(x_j) / sqrt(c)), C = sum_j f
    dot_product        f = theta(x_i) . phi(x_j),               C = N
    concatenation      f = ReLU(w . [theta(x_i); phi(x_j)]),    C = N

theta, phi and g are 1x1x1 convolutions to c = C/2 channels and N counts the positions j. The
embedded Gaussian is self-attention: one head of scaled dot-product attention over the T*H*W
positions. BN's scale starts at 0, so a block put into a trained network changes nothing at first.

Source: Wang, Girshick, Gupta, He 2018, "Non-local Neural Networks", sections 3.2 and 3.3; the
scaling by sqrt(c) is that of the authors' code.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

KINDS = ("gaussian", "embedded_gaussian", "dot_product", "concatenation")


class NonLocalBlock(nn.Module):
    """A residual non-local operation on maps (B, C, T, H, W), of unchanged shape.

    Args:
        channels: C of the maps, an even number.
        kind: gaussian, embedded_gaussian, dot_product or concatenation.
        subsample: phi and g see maps max-pooled by 2 in space: a quarter of the positions j.

    Raises:
        ValueError: an unknown kind, or an odd number of channels.
    """

    def __init__(self, *, channels: int, kind: str, subsample: bool) -> None:
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"non_local_kind={kind!r} must be one of {', '.join(KINDS)}")
        if channels % 2:
            raise ValueError(
                f"a non-local block halves its {channels} channels: use an even number"
            )
        inner = channels // 2
        self.kind = kind
        self.subsample = subsample
        self.theta: nn.Module = nn.Identity()
        self.phi: nn.Module = nn.Identity()
        if kind != "gaussian":
            self.theta = nn.Conv3d(channels, inner, kernel_size=1)
            self.phi = nn.Conv3d(channels, inner, kernel_size=1)
        self.g = nn.Conv3d(channels, inner, kernel_size=1)
        if kind == "concatenation":
            self.weigh_theta = nn.Linear(inner, 1, bias=False)
            self.weigh_phi = nn.Linear(inner, 1, bias=False)
        self.output = nn.Conv3d(inner, channels, kernel_size=1)
        self.norm = nn.BatchNorm3d(channels)
        for module in self.modules():
            if isinstance(module, (nn.Conv3d, nn.Linear)):
                nn.init.normal_(module.weight, std=0.01)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.zeros_(self.norm.weight)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Add to each position what it gathers from all, (B, C, T, H, W) -> the same shape."""
        others = maps
        if self.subsample:
            # a side of one pixel has nothing to pool
            window = (1, min(2, maps.shape[3]), min(2, maps.shape[4]))
            others = F.max_pool3d(maps, kernel_size=window)  # (B, C, T, H/2, W/2)
        theta = positions(self.theta(maps))  # (B, N, c), N = T*H*W
        phi = positions(self.phi(others))  # (B, M, c), M = N or N/4
        g = positions(self.g(others))  # (B, M, c)
        gathered = self._gather(theta, phi, g)  # (B, N, c)
        y = gathered.transpose(1, 2).reshape(len(maps), -1, *maps.shape[2:])  # (B, c, T, H, W)
        z: torch.Tensor = maps + self.norm(self.output(y))  # (B, C, T, H, W)
        return z

    def _gather(self, theta: torch.Tensor, phi: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        """Sum g over all j with weights f / C: (B, N, c), (B, M, c), (B, M, c) -> (B, N, c)."""
        if self.kind == "gaussian":
            return attend(theta, phi, g, scale=1.0)
        if self.kind == "embedded_gaussian":
            return attend(theta, phi, g, scale=theta.shape[2] ** -0.5)
        if self.kind == "dot_product":
            # (theta phi^T) g = theta (phi^T g), which never builds the N x M matrix
            return theta @ ((phi / phi.shape[1]).mT @ g)
        # w . [theta_i; phi_j] = w_theta . theta_i + w_phi . phi_j
        pairs: torch.Tensor = self.weigh_theta(theta) + self.weigh_phi(phi).mT  # (B, N, M)
        return pairs.relu() @ g / phi.shape[1]


def positions(maps: torch.Tensor) -> torch.Tensor:
    """List the space-time positions of maps: (B, C, T, H, W) -> (B, T*H*W, C)."""
    return maps.flatten(2).transpose(1, 2)


def attend(
    theta: torch.Tensor, phi: torch.Tensor, g: torch.Tensor, *, scale: float
) -> torch.Tensor:
    """Average g (B, M, c) by softmax_j(scale theta_i . phi_j) -> (B, N, c)."""
    one_head = F.scaled_dot_product_attention(
        theta.unsqueeze(1), phi.unsqueeze(1), g.unsqueeze(1), scale=scale
    )  # (B, 1, N, c)
    return one_head.squeeze(1)
