"""What a result was measured with: Python, package versions, device, processors.

Neither values of environment variables nor names of machine or user are read: a report may be
handed on. No package is imported for its version.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterable
from typing import Any

PACKAGES = (
    "videoclf",
    "torch",
    "torchvision",
    "pytorch-lightning",
    "torchmetrics",
    "timm",
    "hydra-core",
    "omegaconf",
    "numpy",
    "av",
    "decord",
    "torchcodec",
    "opencv-contrib-python-headless",
    "pyarrow",
)


def collect_environment(device: str, packages: Iterable[str] = PACKAGES) -> dict[str, Any]:
    """Return versions and hardware as plain values.

    Args:
        device: name of what computed, such as "NVIDIA H200" or "cpu"; only the rank knows it.
        packages: distribution names; those not installed are left out.
    """
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "device": device,
        "cpu_count": _usable_processors(),
        "packages": {name: version for name in packages if (version := _version(name))},
    }


def _usable_processors() -> int:
    """Return the processors this process may use; a container often has fewer than the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
