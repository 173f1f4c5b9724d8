"""`compile=true`: torch.compile around a model, in place.

The model's own call is compiled, no wrapper put around it: names in checkpoints stay, averaged
copies and class heads are found as before. The first steps take minutes, each new shape of a batch
again; what it brings depends on model and device.
"""

from __future__ import annotations

import logging

import torch
from torch import nn

from videoclf.errors import ConfigError

MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")


def compile_model(model: nn.Module, mode: bool | str) -> None:
    """Compile a model's calls from now on; the work is done at the first of them.

    Args:
        model: whose weights and their names stay.
        mode: of `torch.compile`; True is `default`, False does nothing.

    Raises:
        ConfigError: an unknown mode.
    """
    if mode is False:
        return
    name = "default" if mode is True else mode
    if name not in MODES:
        raise ConfigError(f"compile={mode} must be false, true or one of {', '.join(MODES)}")
    if not torch.cuda.is_available():  # it warns of a CUDA toolkit that has no GPU
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    model.compile(mode=name)
