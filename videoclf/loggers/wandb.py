"""Weights & Biases, offline unless asked, and never in the way of a run."""

from __future__ import annotations

import os
import sys
from typing import Any, Literal

import wandb
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from videoclf.reports.redaction import redact_text


class Wandb(WandbLogger):
    """Log to W&B; `wandb sync <folder>/wandb/offline-...` uploads an offline run later.

    Args:
        folder: the run folder; W&B's own files go below it.
        run_name: shown in W&B.
        project: in W&B.
        mode: `offline`, or `online`, which goes on offline where there is no key, or W&B is not
            reached in 5 s.

    Raises:
        ValueError: another mode.
    """

    def __init__(
        self, *, folder: str, run_name: str, project: str, mode: Literal["offline", "online"]
    ) -> None:
        if mode not in ("offline", "online"):
            raise ValueError(f"logger.wandb.mode={mode!r} must be 'offline' or 'online'")
        os.environ.setdefault("WANDB_CONSOLE", "off")
        if mode == "online" and not wandb.api.api_key:  # else W&B would ask for one, and wait
            _say("warning: there is no key for W&B (`wandb login`); this run goes on offline")
            mode = "offline"
        settings = wandb.Settings(init_timeout=5, console="off", silent=True)
        super().__init__(
            name=redact_text(run_name),
            save_dir=folder,
            project=project,
            offline=mode == "offline",
            settings=settings,
        )

    @property
    def experiment(self) -> Any:
        """The W&B run; started on first use."""
        try:
            return super().experiment
        except (wandb.errors.CommError, wandb.errors.UsageError) as error:
            reason = " ".join(str(error).split())
            _say(f"warning: W&B is not reached ({reason}); this run goes on offline")
            self._offline = True
            self._wandb_init["mode"] = "offline"
            return super().experiment


@rank_zero_only
def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
