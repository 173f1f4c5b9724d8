"""Networks of the peers' own code, with chance in every weight and statistic.

pytorchvideo 0.1.5 imports beside today's torchvision as far as its `models` go. MMAction2 1.2.0 is
imported without `mmaction.models.__init__`, for its wheel lacks a package that this imports, and
without its recognizers, which want mmcv's compiled operators.
"""

import importlib
import sys
import types
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

MISSING = "needs {}, which `make test-all` installs"


def pytorchvideo():
    """Return pytorchvideo's hub of networks, or skip."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of fvcore and torch.jit
        pytest.importorskip("pytorchvideo", reason=MISSING.format("pytorchvideo"))
        return importlib.import_module("pytorchvideo.models.hub")


def mmaction(config, *, backbone=None):
    """Build backbone and head of one of MMAction2's configs, or skip.

    Args:
        config: name of a file of configs/recognition/*/.
        backbone: arguments of it that are changed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package = pytest.importorskip("mmaction", reason=MISSING.format("MMAction2"))
        root = Path(package.__path__[0])
        if "mmaction.models" not in sys.modules:
            models = types.ModuleType("mmaction.models")
            models.__path__ = [str(root / "models")]
            sys.modules["mmaction.models"] = models
        for part in ("backbones", "heads", "losses"):
            importlib.import_module(f"mmaction.models.{part}")
        registry = importlib.import_module("mmaction.registry").MODELS
        importlib.import_module("mmengine.registry").init_default_scope("mmaction")
        (path,) = (root / ".mim" / "configs" / "recognition").glob(f"*/{config}.py")
        model = importlib.import_module("mmengine.config").Config.fromfile(path).model
        settings = {**model.backbone, "pretrained": None, **(backbone or {})}
        if "ResNet3dSlowFast" in settings["type"]:
            for pathway in ("slow_pathway", "fast_pathway"):
                settings[pathway] = {**settings[pathway], "pretrained": None}
        if settings["type"] in ("MViT", "VisionTransformer"):  # they know no `pretrained`
            del settings["pretrained"]
        return nn.ModuleDict(
            {"backbone": registry.build(settings), "cls_head": registry.build(model.cls_head)}
        )


def drawn(network, seed=3):
    """Fill a network with chance of a size that keeps a signal, and put it into evaluation."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                fan_in = parameter[0].numel()
                parameter.normal_(0, fan_in**-0.5, generator=generator)
            else:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.1, generator=generator)
            if name.endswith("running_var"):
                buffer.uniform_(0.6, 1.4, generator=generator)
    return network.eval()
