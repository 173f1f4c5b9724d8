"""Weights & Biases, offline unless asked, and never in the way of a run."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import wandb
from lightning_fabric.loggers.logger import rank_zero_experiment
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from videoclf.loggers.journal import Journal
from videoclf.reports.redaction import redact_text


class Wandb(WandbLogger):
    """Log to W&B; `wandb sync <folder>/wandb/offline-...` uploads an offline run later.

    A resumed run goes on as the same run of W&B, and no step is shown twice. Its rows are noted in
    `wandb/logged.jsonl` too, for W&B's own file lacks the last ones where the process was killed: a
    session that goes on offline begins with all of them, so that its folder is the one to upload.

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
        os.environ.setdefault("WANDB_SILENT", "true")
        if mode == "online" and not wandb.login(prompt=False, verify=False):
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
        if mode == "offline":
            self._wandb_init["mode"] = mode
        self._wandb_init.pop("anonymous", None)  # W&B warns of it, even unset
        self.journal = Journal(Path(folder) / "wandb" / "logged.jsonl")

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The W&B run; started on first use, with what earlier sessions have logged."""
        if self._experiment is None:
            self._wandb_init["id"] = self._id = self.journal.run_id()
            run = self._start()
            for number, row, step in self.journal.rows_from(run.step):
                run.log(_placed(row, step), step=number)
        return self._experiment

    def _start(self) -> Any:
        try:
            return super().experiment
        except (wandb.errors.CommError, wandb.errors.UsageError) as error:
            reason = " ".join(str(error).split())
            _say(f"warning: W&B is not reached ({reason}); this run goes on offline")
            self._offline = True
            self._wandb_init["mode"] = "offline"
            wandb.teardown()  # else the id counts as in use
            return super().experiment

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log a row of what has not been logged at this step yet."""
        run, new = self.experiment, self.journal.unseen(metrics, step)
        if new:
            run.log(_placed(new, step), step=self.journal.note(new, step))


def _placed(row: Mapping[str, Any], step: int | None) -> dict[str, Any]:
    """Add what Lightning's curves are drawn over."""
    return dict(row) if step is None else {**row, "trainer/global_step": step}


@rank_zero_only
def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
