"""Fully connected layers in a row: the multilayer perceptron above a convolutional network."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn


def fully_connected(inputs: int, widths: Sequence[int], dropout: float) -> nn.Sequential:
    """Stack linear layers with ReLU, dropout between them; no widths is the identity.

    (B, inputs) -> (B, widths[-1]). The dropout in front of the classifier is the model's own.
    """
    layers: list[nn.Module] = []
    for place, width in enumerate(widths):
        if place:
            layers.append(nn.Dropout(dropout))
        layers += [nn.Linear(inputs, width), nn.ReLU(inplace=True)]
        inputs = width
    return nn.Sequential(*layers)
