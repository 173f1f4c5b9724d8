"""What a run's network costs, counted from its config without its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from videoclf.build import build
from videoclf.errors import ConfigError
from videoclf.profiling.costs import count_macs
from videoclf.profiling.profile import input_shapes

#: Arguments that fetch weights or open a file, which a count does not need.
_FETCHING = ("pretrained", "image_weights", "feature_cache")


@dataclass(frozen=True)
class Cost:
    """Of a network.

    Args:
        parameters: of the whole.
        macs: multiply-accumulates of one clip.
    """

    parameters: int
    macs: int


def network_cost(config: Mapping[str, Any]) -> Cost:
    """Build the network of a resolved config on the CPU and count on the meta device.

    Only what stands on the allowlist is built; a config is data from outside.

    Raises:
        ConfigError: the network cannot be built from this config, such as one of an own package.
    """
    node, sampler, transform = (config.get(key) for key in ("model", "sampler", "transform"))
    if config.get("members"):
        raise ConfigError("an ensemble has several networks")
    if not (isinstance(node, Mapping) and sampler and transform):
        raise ConfigError("its config.yaml has no model, sampler and transform")
    model = build(_without_weights(node), name="model")
    shapes = input_shapes(model, sampler["num_frames"], transform["crop_pixels"])
    parameters = sum(parameter.numel() for parameter in model.parameters())
    macs, _ = count_macs(model.to("meta"), shapes, [])
    return Cost(parameters, macs)


def _without_weights(node: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what fetches weights: flags become false, names of weights null."""
    plain: dict[str, Any] = {}
    for key, value in node.items():
        if isinstance(value, Mapping):
            plain[key] = _without_weights(value)
        elif key in _FETCHING:
            plain[key] = False if isinstance(value, bool) else None
        else:
            plain[key] = value
    return plain
