"""How stored predictions came about, and the name of it that ends every metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from videoclf.errors import ConfigError
from videoclf.evaluation.ensemble import Ensemble
from videoclf.evaluation.views import Views

#: In place of the views, where the members of an ensemble were evaluated on different ones.
MIXED = "mixed"


def protocol_name(protocol: Mapping[str, Any]) -> str:
    """Return what ends a metric's name, such as `10x3`, `10x3_average_1_1.5` or `mixed_vote`."""
    name = MIXED if protocol.get("member_views") else Views.of_protocol(protocol).name
    if protocol.get("ensemble"):
        name += f"_{Ensemble(**protocol['ensemble']).name}"
    return name


def joint_protocol(
    ensemble: Ensemble, protocols: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> dict[str, Any]:
    """Return the protocol of an ensemble of stored predictions.

    Args:
        ensemble: how.
        protocols: of the members.
        names: of the members.

    Raises:
        ConfigError: a member is an ensemble itself.
    """
    for protocol, name in zip(protocols, names, strict=True):
        if protocol.get("ensemble"):
            raise ConfigError(f"{name} is of an ensemble itself; name that ensemble's members")
    joint: dict[str, Any] = {"subset": protocols[0].get("subset", "test")}
    joint |= joint_views(protocols)
    versions = {protocol.get("label_version") for protocol in protocols}
    if len(versions) > 1:
        raise ConfigError(
            f"the members' labels are of versions {', '.join(sorted(map(str, versions)))}; "
            "evaluate all on one"
        )
    if protocols[0].get("label_version"):
        joint["label_version"] = protocols[0]["label_version"]
    return joint | {"ensemble": asdict(ensemble), "members": list(names)}


def joint_views(protocols: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the views that all share, or the name of each one's."""
    every = [Views.of_protocol(protocol) for protocol in protocols]
    if all(views == every[0] for views in every):
        return every[0].protocol()
    return {"member_views": [views.name for views in every]}
