"""Hydra's record of a sweep, `multirun.yaml`, is not written where it would show a secret.

It holds the overrides as typed and the composed config. Each job's `config.yaml` has them all, with
the values of secrets hidden.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from videoclf.reports.redaction import redact, redact_command


class SweepRecord(Callback):
    """Named in the entry points' configs as one of `hydra.callbacks`."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Let Hydra write its record to nowhere, if it must not be kept."""
        if shows_secret(config):
            record = _record(config)
            record.parent.mkdir(parents=True, exist_ok=True)
            record.symlink_to(os.devnull)

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Take away what stood in its place."""
        if _record(config).is_symlink():
            _record(config).unlink()


def shows_secret(config: DictConfig) -> bool:
    """Return whether a sweep's config, or an override in it, holds the value of a secret."""
    typed = [*config.hydra.overrides.task, *config.hydra.overrides.hydra]
    whole = OmegaConf.to_container(config, resolve=False)
    return whole != redact(whole) or any(_is_secret(text) for text in typed)


def _is_secret(override: str) -> bool:
    word = shlex.quote(override)
    try:
        value = OverridesParser.create().parse_override(override).value()
    except HydraException:
        value = None
    return redact_command(word) != word or redact(value) != value


def _record(config: DictConfig) -> Path:
    return Path(config.hydra.sweep.dir) / "multirun.yaml"
