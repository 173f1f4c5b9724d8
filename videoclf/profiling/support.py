"""A network whose gradients show what each output depends on, and nothing else.

The gradient of an output is zero where the output does not depend on the input, and also where a
ReLU is off, a maximum was elsewhere, a gate is saturated or a weight is zero. `SupportMode` runs a
network so that only the first reason is left:

    convolution, linear   one positive random kernel for all channels
    max-pool, maximum     mean over the same window
    ReLU and its like     left out
    sigmoid, tanh         x / (1 + |x|), whose slope never vanishes
    attention             the mean over the positions that may be attended to
    LSTM, GRU             the sum over the steps read so far
    normalisation         left out: the statistics of a norm count as constants
    no_grad               ignored, so that frozen parts are seen through

in double precision, where products over two hundred layers stay above zero. What remains is smooth
and positive, so that nothing cancels but by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary


class SupportMode(TorchFunctionMode):
    """Replaces, inside `with`, what would hide a dependence.

    Since a convolution gives all its channels the same values, one of them is computed, and what
    a network sees is a view that repeats it (`_narrow` knows the one behind a view). That makes
    the cost of a field independent of the network's width.

    Args:
        on_call: is given the name of each function that is called and its result.
        repeat_views: False copies each channel, for networks that write into parts of their maps.
    """

    def __init__(self, on_call: Callable[[str, Any], None], *, repeat_views: bool = True) -> None:
        super().__init__()
        self._on_call = on_call
        self._repeat_views = repeat_views
        self._narrow = WeakIdKeyDictionary()  # view (B, C, ...) -> what it repeats (B, 1, ...)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        name = getattr(func, "__name__", "")
        result = self._call(name, func, *args, **(kwargs or {}))
        self._on_call(name, result)
        return result

    def _call(self, name: str, func: Callable[..., Any], *args: Any, **options: Any) -> Any:
        if name in _CONVOLUTIONS:
            channels = args[1].shape[0]
            return self._widen(
                _convolve(self._one_channel(args[0]), *args[1:], **options), channels
            )
        if name in _MAX_POOLINGS:
            pooled = _MAX_POOLINGS[name](self._one_channel(args[0]), *args[1:], **options)
            return self._widen(pooled, args[0].shape[1])
        if name in ("cat", "concat") and self._joins_channels(args, options):
            parts = [self._narrow[part] for part in args[0]]
            joined = torch.stack(parts).mean(dim=0)
            return self._widen(joined, sum(part.shape[1] for part in args[0]))
        replaced = _REPLACED.get(name, func)
        if name in _CHANNELWISE and self._all_narrow(name, args, options):
            first = next(arg for arg in args if isinstance(arg, torch.Tensor))
            narrow = [self._narrow.get(arg, arg) if _is_tensor(arg) else arg for arg in args]
            return self._widen(replaced(*narrow, **options), _channels(args, first))
        return replaced(*args, **options)

    def _one_channel(self, maps: torch.Tensor) -> torch.Tensor:
        known = self._narrow.get(maps)
        return maps.double().mean(dim=1, keepdim=True) if known is None else known

    def _widen(self, values: torch.Tensor, channels: int) -> torch.Tensor:
        """Repeat (B, 1, ...) over the channels, at a mean of 1 whatever the depth."""
        values = values / (values.detach().abs().mean() + 1e-30)
        wide = values.expand(-1, channels, *values.shape[2:])
        if not self._repeat_views:
            return wide.contiguous()
        self._narrow[wide] = values
        return wide

    def _joins_channels(self, args: Sequence[Any], options: dict[str, Any]) -> bool:
        axis = options.get("dim", args[1] if len(args) > 1 else 0)
        return axis == 1 and all(part in self._narrow for part in args[0])

    def _all_narrow(self, name: str, args: Sequence[Any], options: dict[str, Any]) -> bool:
        """Whether an operation that keeps channels apart has only repeating views before it."""
        tensors = [arg for arg in args if _is_tensor(arg) and arg.ndim > 1]
        if not tensors or not all(tensor in self._narrow for tensor in tensors):
            return False
        if name not in ("mean", "amax", "amin"):
            return True
        axes = options.get("dim", args[1] if len(args) > 1 else None)
        axes = axes if isinstance(axes, (tuple, list)) else [axes]
        return all(axis is not None and axis % tensors[0].ndim > 1 for axis in axes)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)


def _channels(args: Sequence[Any], first: torch.Tensor) -> int:
    """Channels of an operation's result: those of its widest argument."""
    widths = [int(a.shape[1]) for a in args if _is_tensor(a) and a.ndim > 1]
    return max([int(first.shape[1]), *widths])


def call_in_double(model: nn.Module, inputs: dict[str, torch.Tensor]) -> Any:
    """Call a model with weights in double precision that take no memory; its own stay as they are.

    All values of a weight are one positive number. Buffers keep their values.
    """
    state: dict[str, torch.Tensor] = {
        name: torch.full((), 1 / max(1, weight.shape[-1] if weight.ndim > 1 else 2))
        .double()
        .expand(weight.shape)
        for name, weight in model.named_parameters()
    }
    for name, buffer in model.named_buffers():
        state[name] = buffer.double() if buffer.is_floating_point() else buffer
    return functional_call(model, state, kwargs=inputs)


def positive(*shape: int) -> torch.Tensor:
    """Draw numbers that do not cancel, whatever differences a network takes; always the same."""
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.rand(*shape, generator=generator, dtype=torch.float64) + 0.5


def _convolve(
    maps: torch.Tensor,  # (B, 1, ...)
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,  # noqa: ARG001
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,  # noqa: ARG001
) -> torch.Tensor:
    """Convolve by a product of kernels, one an axis: the same box as a full kernel, cheaper."""
    sides = weight.ndim - 2
    convolution: Callable[..., torch.Tensor] = (F.conv1d, F.conv2d, F.conv3d)[sides - 1]
    if isinstance(padding, str):
        kernel = positive(1, 1, *weight.shape[2:])
        return convolution(maps, kernel, None, stride, padding, dilation)
    settings = [
        tuple(value) if isinstance(value, (tuple, list)) else (value,) * sides
        for value in (stride, padding, dilation)
    ]
    settings = [value * sides if len(value) == 1 else value for value in settings]
    for axis in range(sides):
        edge = [1] * sides
        edge[axis] = weight.shape[2 + axis]
        own = [
            tuple(value[axis] if place == axis else other for place in range(sides))
            for value, other in zip(settings, (1, 0, 1), strict=True)
        ]
        if edge[axis] > 1 or own[0][axis] > 1 or own[1][axis] > 0:
            maps = convolution(maps, positive(1, 1, *edge), None, *own)
    return maps


def _linear(
    input: torch.Tensor,  # noqa: A002
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,  # noqa: ARG001
) -> torch.Tensor:
    mixed = (input.double() @ positive(input.shape[-1]))[..., None]  # (..., 1)
    mixed = mixed / (mixed.detach().abs().mean() + 1e-30)
    return mixed.expand(*mixed.shape[:-1], weight.shape[0]).contiguous()


def _max_pool(
    maps: torch.Tensor,  # (B, 1, ...)
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,  # noqa: ARG001
) -> torch.Tensor:
    sides = maps.ndim - 2
    edges = tuple(kernel_size) if isinstance(kernel_size, (tuple, list)) else (kernel_size,) * sides
    if ceil_mode:
        average = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[sides - 1]
        return average(maps, edges, stride or edges, padding, ceil_mode)
    window = maps.new_empty(1, 1, *edges)
    return _convolve(maps, window, None, stride or edges, padding, dilation)


def _adaptive_max_pool(
    maps: torch.Tensor,  # (B, 1, ...)
    output_size: Any,
    return_indices: bool = False,  # noqa: ARG001
) -> torch.Tensor:
    average = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)[maps.ndim - 3]
    return average(maps, output_size)


def _maximum(input: torch.Tensor, dim: Any = (), keepdim: bool = False) -> torch.Tensor:  # noqa: A002
    return input.mean(dim=dim, keepdim=keepdim)


def _pass(input: torch.Tensor, *rest: Any, **options: Any) -> torch.Tensor:  # noqa: A002, ARG001
    return input.clone()


def _constant(name: str) -> Callable[..., Any]:
    """Compute a statistic without its gradient: a network divides by it."""
    function = getattr(torch.Tensor, name)

    def compute(input: torch.Tensor, *rest: Any, **options: Any) -> Any:  # noqa: A002
        return function(input.detach(), *rest, **options)

    return compute


def _sigmoid(input: torch.Tensor) -> torch.Tensor:  # noqa: A002
    return 0.5 + 0.5 * F.softsign(input)


def _tanh(input: torch.Tensor) -> torch.Tensor:  # noqa: A002
    return F.softsign(input)


def _softmax(input: torch.Tensor, dim: int = -1, *rest: Any, **options: Any) -> torch.Tensor:  # noqa: A002, ARG001
    allowed = (input != -torch.inf).to(input.dtype)  # what a mask hides stays hidden
    weights = allowed * (1 + 0.5 * F.softsign(input.clamp_min(-1e30)))
    return weights / weights.sum(dim=dim, keepdim=True)


def _attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,  # noqa: ARG001
    is_causal: bool = False,
    **options: Any,  # noqa: ARG001
) -> torch.Tensor:
    """Depend on a position's query, and on all keys and values it may attend to, at O(N) cost."""
    seen = value + key.mean(dim=-1, keepdim=True)  # (..., M, D)
    own = query.mean(dim=-1, keepdim=True)  # (..., N, 1)
    if attn_mask is not None:
        allowed = attn_mask if attn_mask.dtype == torch.bool else attn_mask != -torch.inf
        return allowed.to(seen.dtype) @ seen / seen.shape[-2] + own
    if is_causal:
        return seen.cumsum(dim=-2) / seen.shape[-2] + own
    return seen.mean(dim=-2, keepdim=True) + own


def _recur(
    input: torch.Tensor,  # noqa: A002
    hx: Any,
    params: Any,  # noqa: ARG001
    has_biases: bool,  # noqa: ARG001
    num_layers: int,
    dropout: float,  # noqa: ARG001
    train: bool,  # noqa: ARG001
    bidirectional: bool,
    batch_first: bool,
) -> tuple[torch.Tensor, ...]:
    """LSTM, GRU or RNN: steps, and the last states of each layer and direction (twice for LSTM)."""
    first = hx[0] if isinstance(hx, (tuple, list)) else hx  # (layers * directions, B, H)
    time = 1 if batch_first else 0
    steps, ends = input.double(), []
    for _ in range(num_layers):
        mixed = steps.mean(dim=-1, keepdim=True) / steps.shape[time]
        ways = [mixed.cumsum(dim=time)]
        if bidirectional:
            ways.append(mixed.flip(time).cumsum(dim=time).flip(time))
        ways = [way.expand(*way.shape[:-1], first.shape[-1]) for way in ways]
        ends += [way.select(time, last) for way, last in zip(ways, (-1, 0), strict=False)]
        steps = torch.cat(ways, dim=-1)
    states = torch.stack(ends)
    return (steps, states, states) if isinstance(hx, (tuple, list)) else (steps, states)


_CONVOLUTIONS = frozenset({"conv1d", "conv2d", "conv3d"})
_MAX_POOLINGS: dict[str, Callable[..., torch.Tensor]] = {
    **dict.fromkeys(("max_pool1d", "max_pool2d", "max_pool3d"), _max_pool),
    **dict.fromkeys(
        ("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"), _adaptive_max_pool
    ),
}
_LEFT_OUT = frozenset(
    {"relu", "relu_", "relu6", "leaky_relu", "leaky_relu_", "gelu", "silu", "silu_", "mish", "elu"}
    | {"hardswish", "hardtanh", "prelu", "softplus", "selu", "clamp", "clamp_min"}
    | {"batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm"}
    | {"local_response_norm", "normalize"}
)
#: Written by `a += b` and the like into views that repeat one channel: a new tensor instead.
_ARITHMETIC: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("add", "add_", "__add__", "__radd__", "__iadd__"), torch.add),
    **dict.fromkeys(("sub", "sub_", "__sub__", "__isub__"), torch.sub),
    **dict.fromkeys(("mul", "mul_", "__mul__", "__rmul__", "__imul__"), torch.mul),
    **dict.fromkeys(("div", "div_", "__truediv__", "__itruediv__"), torch.div),
}
_REPLACED: dict[str, Callable[..., Any]] = {
    "linear": _linear,
    **dict.fromkeys(("amax", "amin"), _maximum),
    **dict.fromkeys(_LEFT_OUT, _pass),
    **_ARITHMETIC,
    **{name: _constant(name) for name in ("std", "var")},
    **dict.fromkeys(("sigmoid", "hardsigmoid"), _sigmoid),
    "tanh": _tanh,
    "softmax": _softmax,
    "scaled_dot_product_attention": _attend,
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), _recur),
    "_set_grad_enabled": lambda *_: None,
}
#: What treats each channel alike and alone: one of them is enough.
_CHANNELWISE = frozenset(
    {*_LEFT_OUT, *_ARITHMETIC, "sigmoid", "hardsigmoid", "tanh", "mean", "amax", "amin", "pad"}
    | {"avg_pool1d", "avg_pool2d", "avg_pool3d"}
    | {"adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"}
)
