"""How weights start where PyTorch's own start is too small: deep plain networks with ReLU.

PyTorch draws a convolution's weights with a third of the variance that ReLU needs to keep a
signal's size (He et al. 2015), so that eight layers without batch norm lose it almost wholly.
"""

from __future__ import annotations

from typing import Literal

from torch import nn


def initialize_for_relu(network: nn.Module, mode: Literal["fan_in", "fan_out"]) -> None:
    """Draw the weights of all convolutions and linear layers from N(0, 2 / fan); biases are 0.

    Args:
        network: whose layers are drawn, in place.
        mode: `fan_in` keeps the size of activations, `fan_out` that of gradients.

    Source: He et al. 2015, "Delving Deep into Rectifiers", equations 10 and 14.
    """
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, mode=mode, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
