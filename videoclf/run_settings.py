"""The keys of `conf/train.yaml` and `conf/evaluate.yaml` that belong to no group, and a trainer's.

They are held against types and limits in the launching process, before a folder is made: what a
rank would find out after the imports of torch, or never, is said at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from videoclf.errors import ConfigError
from videoclf.value_types import check_values

#: Lightning takes seeds of 32 bits.
MAX_SEED = 2**32 - 1


@dataclass(frozen=True, kw_only=True)
class EarlyStopping:
    """When a training ends before its epochs do.

    Args:
        patience: validations without a better value; None waits for ever.
        target: value that is good enough; None never is.

    Raises:
        ConfigError: a patience below 1.
    """

    patience: int | None
    target: float | None

    def __post_init__(self) -> None:
        if self.patience is not None and self.patience < 1:
            raise ConfigError(
                f"early_stopping.patience={self.patience} must be at least 1, or null"
            )


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What a run is asked for beside its groups; `conf/train.yaml` says what each key means.

    Raises:
        ConfigError: a value that cannot be meant.
    """

    seed: int = 0
    name: str | None = None
    run_dir: str | None = None
    resume: str | None = None
    weights: str | None = None
    weights_allow_unmatched: bool = False
    init_from: str | None = None
    init_from_allow_unmatched: bool = False
    keep_source_head: bool = False
    freeze: Literal["backbone"] | None = None
    unfreeze_at_epoch: int | Sequence[int] | None = None
    ema_decay: float | None = None
    early_stopping: Mapping[str, Any] | None = None
    overfit: int | None = None
    dry_run: bool = False
    compile: bool | str = False
    profiler: Literal["simple"] | None = None
    seconds_without_progress: float | None = None
    seconds_to_stop: float = 9.0
    trusted_packages: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.seed <= MAX_SEED:
            raise ConfigError(f"seed={self.seed} must be from 0 to {MAX_SEED}")
        if self.name is not None and not re.fullmatch(r"(?!\.+$)[^/\\\0]+", self.name):
            raise ConfigError(
                f"name={self.name} names a folder below runs/, without slashes; "
                "for another place set run_dir=..."
            )
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ConfigError(f"ema_decay={self.ema_decay} must lie between 0 and 1, or be null")
        if self.overfit is not None and self.overfit < 1:
            raise ConfigError(f"overfit={self.overfit} must be at least 1 training video, or null")
        for key in ("seconds_without_progress", "seconds_to_stop"):
            seconds = getattr(self, key)
            if seconds is not None and seconds <= 0:
                raise ConfigError(f"{key}={seconds} must be above 0")
        if self.early_stopping is not None:
            _built(EarlyStopping, self.early_stopping, name="early_stopping")


@dataclass(frozen=True, kw_only=True)
class TrainerSettings:
    """The keys of `conf/trainer`; further ones of Lightning's are its own to judge.

    The defaults are for what an older run did not know.

    Raises:
        ConfigError: a value that cannot be meant.
    """

    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"] = "auto"
    max_epochs: int = 1
    num_nodes: int = 1
    accumulate_grad_batches: int = 1
    check_val_every_n_epoch: int = 1
    log_every_n_steps: int = 1
    gradient_clip_val: float | None = None
    limit_train_batches: float | None = None
    deterministic: bool | Literal["warn"] = False
    benchmark: bool | None = None
    precision: Literal["32-true", "bf16-mixed", "16-mixed", 32] = "32-true"
    fast_dev_run: bool | int = False

    def __post_init__(self) -> None:
        for key in (
            *("max_epochs", "num_nodes", "accumulate_grad_batches"),
            *("check_val_every_n_epoch", "log_every_n_steps"),
        ):
            if getattr(self, key) < 1:
                raise ConfigError(f"trainer.{key}={getattr(self, key)} must be at least 1")
        clip = self.gradient_clip_val
        if clip is not None and clip < 0:
            raise ConfigError(f"trainer.gradient_clip_val={clip} must be at least 0, or null")
        if self.fast_dev_run:
            raise ConfigError(
                "trainer.fast_dev_run keeps no checkpoint to evaluate; use dry_run=true"
            )
        limit = self.limit_train_batches
        if limit is not None and (limit <= 0 or (isinstance(limit, float) and limit > 1)):
            raise ConfigError(
                f"trainer.limit_train_batches={limit} must be a number of batches from 1, a share "
                "of an epoch up to 1.0, or null"
            )
        if self.check_val_every_n_epoch > self.max_epochs:
            raise ConfigError(
                f"trainer.check_val_every_n_epoch={self.check_val_every_n_epoch} is above "
                f"trainer.max_epochs={self.max_epochs}: nothing would be validated, and no best "
                "checkpoint chosen"
            )


def check_run_settings(config: Mapping[str, Any]) -> None:
    """Hold a plain config's own keys, and its trainer's, against their types and limits.

    Raises:
        ConfigError: a value that cannot be meant; the text names the key.
    """
    _built(RunSettings, config)
    _built(TrainerSettings, config["trainer"], name="trainer")


def _built(target: type, values: Mapping[str, Any], *, name: str = "") -> None:
    known = {field.name for field in fields(target)}
    own = {key: value for key, value in values.items() if key in known}
    check_values(target, own, name=name)
    target(**own)
