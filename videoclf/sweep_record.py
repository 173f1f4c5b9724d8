"""What a sweep says of its jobs, and what Hydra may record of it.

Each job ends with a line: what it was given, and what it came to. Hydra's own record,
`multirun.yaml`, holds the overrides as typed and the composed config; it is not written where it
would show a secret. Each job's `config.yaml` has them all, with the values of secrets hidden.
"""

from __future__ import annotations

import atexit
import os
import shlex
import sys
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
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
            atexit.register(record.unlink, missing_ok=True)  # also where a job has failed

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        """Say what became of a job; after the others, Hydra raises the error of the first."""
        if config.hydra.mode is not RunMode.MULTIRUN:
            return
        swept = _swept(config)
        typed = job_return.overrides or ()
        own = [text for text in typed if _key(text) in swept] or typed
        job = f"job {config.hydra.job.num + 1} of the sweep, {redact_command(shlex.join(own))}"
        found = job_return._return_value
        if job_return.status is JobStatus.FAILED:
            sys.stderr.write(f"{job}, failed: {' '.join(str(found).split())}\n")
        elif isinstance(found, float):
            sys.stderr.write(f"{job}: {config.checkpoint.monitor} {found:.4g}\n")


def _swept(config: DictConfig) -> set[str]:
    """Return the keys of which a sweep tries several values."""
    typed = [text for text in sys.argv[1:] if "=" in text and text[0] != "-"]
    several = {
        _key(t) for t in typed if OverridesParser.create().parse_override(t).is_sweep_override()
    }
    return several | {str(key) for key in config.hydra.sweeper.get("params") or ()}


def _key(override: str) -> str:
    return override.partition("=")[0]


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
