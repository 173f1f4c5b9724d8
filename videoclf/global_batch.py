"""The global batch: videos an optimiser step learns from, over all ranks and accumulated passes.

    videos a step = data.batch_size x ranks x trainer.accumulate_grad_batches

`data.global_batch_size` asks for that product, and the number of accumulated passes follows from
it, so that one setting trains alike on 1, 8 or 64 GPUs. An optimiser whose `reference_batch_size`
is set learns at a rate that follows the global batch.

Sources: Goyal et al. 2017 (linear rule); Malladi et al. 2022 (square root, for Adam).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

from videoclf.errors import ConfigError

BatchRule = Literal["linear", "square_root"]


def check_batch_rule(rule: str) -> None:
    """Refuse an unknown one.

    Raises:
        ValueError: such.
    """
    if rule not in get_args(BatchRule):
        valid = " or ".join(get_args(BatchRule))
        raise ValueError(f"optimizer.batch_rule={rule!r} must be {valid}")


def rate_factor(rule: BatchRule, ratio: float) -> float:
    """Return what a batch `ratio` times as large makes of the learning rate."""
    return math.sqrt(ratio) if rule == "square_root" else ratio


def settle_global_batch(config: Mapping[str, Any], *, ranks: int) -> dict[str, Any]:
    """Return the config with the number of accumulated passes that its global batch takes.

    Args:
        config: plain, of a training.
        ranks: how many processes, on all machines.

    Raises:
        ConfigError: `data.global_batch_size` cannot be made of whole passes, or
            `trainer.accumulate_grad_batches` is set beside it.
    """
    data, trainer = config["data"], config["trainer"]
    wanted: int | None = data.get("global_batch_size")
    if wanted is None:
        return dict(config)
    if trainer["accumulate_grad_batches"] != 1:
        raise ConfigError(
            f"data.global_batch_size={wanted} decides how many passes are accumulated, and "
            f"trainer.accumulate_grad_batches={trainer['accumulate_grad_batches']} does too; "
            "leave one of them out"
        )
    size: int = data["batch_size"]
    passes, left = divmod(wanted, size * ranks)
    if left or not passes:
        raise ConfigError(
            f"data.global_batch_size={wanted} is no multiple of data.batch_size={size} x {ranks} "
            f"rank(s) = {size * ranks}; {_remedy(wanted, size, ranks)}"
        )
    return {**config, "trainer": {**trainer, "accumulate_grad_batches": passes}}


def _remedy(wanted: int, size: int, ranks: int) -> str:
    """Return what would fit: the nearest global batch, or the largest batch of a rank."""
    near = max(1, round(wanted / (size * ranks))) * size * ranks
    share, left = divmod(wanted, ranks)
    if left or not share:
        return f"set data.global_batch_size={near}"
    fitting = max(number for number in range(1, min(size, share) + 1) if share % number == 0)
    return f"set data.batch_size={fitting}, or data.global_batch_size={near}"


def videos_a_step(config: Mapping[str, Any], *, ranks: int) -> int:
    """Return the global batch of a plain config, settled."""
    passes: int = config["trainer"]["accumulate_grad_batches"]
    size: int = config["data"]["batch_size"]
    return size * ranks * passes


def describe_step(config: Mapping[str, Any], *, ranks: int) -> str:
    """Return one line: the videos of a step, and the learning rate that they make."""
    size, passes = config["data"]["batch_size"], config["trainer"]["accumulate_grad_batches"]
    videos = videos_a_step(config, ranks=ranks)
    clips = config["data"]["clips_per_video"]
    line = f"a step: {videos} videos = {size} x {ranks} rank(s) x {passes} accumulated"
    line += f", {clips} clips of each" if clips > 1 else ""
    optimizer = config["optimizer"]
    rate, reference = optimizer.get("learning_rate"), optimizer.get("reference_batch_size")
    if not isinstance(rate, (int, float)):  # an optimiser of the user's own, or to be refused
        return line
    if not isinstance(reference, int) or reference < 1:  # None, or to be refused
        return f"{line}; learning rate {rate:g}, whatever the batch"
    rule: BatchRule = optimizer["batch_rule"]
    used = rate * rate_factor(rule, videos / reference)
    ratio = f"{videos}/{reference}"
    shown = f"sqrt({ratio})" if rule == "square_root" else ratio
    return f"{line}; learning rate {used:g} = {rate:g} x {shown}"
