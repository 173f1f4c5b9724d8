"""timm's batch norm that drops and activates too, known by its class without importing timm.

Importing timm takes a second, and what looks for such norms looks into models that have none of
timm's layers as well. Where nothing has imported timm, no layer is of its class.
"""

from __future__ import annotations

import sys

from torch import nn


def loaded_timm_norms() -> tuple[type[nn.BatchNorm2d], ...]:
    """Return `(BatchNormAct2d,)` for `isinstance`, or `()` where no layer can be one."""
    layers = sys.modules.get("timm.layers")
    return () if layers is None else (layers.BatchNormAct2d,)
