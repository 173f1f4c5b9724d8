"""Which modules of a network make the rows of its table, and which of them is running.

Containers are looked through. A module without children is a row; one with children is a row
where it lies `depth` levels deep. Norms, activations and dropout change neither size nor field:
they belong to the row before them.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from videoclf.models.blocks.convolutional_recurrence import RecurrentLayer

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.LocalResponseNorm)
#: Never opened: what they hold means nothing alone.
_WHOLE = (RecurrentLayer, nn.MultiheadAttention, nn.TransformerEncoderLayer)
_READABLE_ROWS = 6  # fewer than this tell little
_DEEPEST = 4


class Layers:
    """The rows of a model's table.

    Args:
        model: whose modules are listed.
        depth: levels of modules that are opened, from 1; None takes the fewest that give six rows.

    Attributes:
        rows: names of the modules that are a row each.
        followers: names of those that belong to the row before them.
    """

    def __init__(self, model: nn.Module, depth: int | None = None) -> None:
        self.rows: list[str] = []
        self.followers: list[str] = []
        for level in [depth] if depth is not None else range(1, _DEEPEST + 1):
            self.rows, self.followers = [], []
            self._open(model, prefix="", levels=level)
            if len(self.rows) >= _READABLE_ROWS:
                break

    def _open(self, module: nn.Module, *, prefix: str, levels: int) -> None:
        for name, child in module.named_children():
            path = f"{prefix}{name}"
            children = list(child.children())
            whole = isinstance(child, _WHOLE) or "Pool" in type(child).__name__
            if isinstance(child, _NORMS):
                self.followers.append(path)
            elif isinstance(child, _CONTAINERS) and children:
                self._open(child, prefix=f"{path}.", levels=levels)
            elif not children:
                learns = any(True for _ in child.parameters(recurse=False))
                (self.rows if learns or whole else self.followers).append(path)
            elif levels == 1 or whole:
                self.rows.append(path)
            else:
                self._open(child, prefix=f"{path}.", levels=levels - 1)


class RunningLayer:
    """Knows, while a model runs inside `with`, which row is at work.

    Args:
        model: with the modules that `layers` names.
        layers: its rows.
        on_output: is given the row's name and the output of its module, each time it has run.

    Attributes:
        active: the row whose module is running, or None between rows.
        latest: the row that ran last or runs; None before the first.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: Layers,
        on_output: Callable[[str, Any], None] | None = None,
    ) -> None:
        self.active: str | None = None
        self.latest: str | None = None
        self._modules = {name: model.get_submodule(name) for name in layers.rows}
        self._on_output = on_output
        self._handles: list[Any] = []

    def __enter__(self) -> RunningLayer:
        for name, module in self._modules.items():
            self._handles += [
                module.register_forward_pre_hook(self._before(name)),
                module.register_forward_hook(self._after(name)),
            ]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _before(self, name: str) -> Callable[..., None]:
        def begin(module: nn.Module, inputs: Any) -> None:  # noqa: ARG001 (torch's signature)
            self.active = self.latest = name

        return begin

    def _after(self, name: str) -> Callable[..., None]:
        def end(module: nn.Module, inputs: Any, output: Any) -> None:  # noqa: ARG001
            self.active = None
            if self._on_output is not None:
                self._on_output(name, output)

        return end
