"""Tasks of a package that is not ours: they note what was trained on, or want a key, or die."""

import os
import signal
from pathlib import Path

from videoclf.tasks.classification import VideoClassification

#: Overrides that put it in place of `task=classification`.
RECORDED = (
    "task._target_=tests.recording.RecordedClassification",
    "trusted_packages=[tests]",
)


class RecordedClassification(VideoClassification):
    """`samples` of a checkpoint: [epoch, row] of each video that its weights have learnt from.

    The list goes back to that of the checkpoint with the weights, as it should: what was trained
    after the save is lost with the process, and trained again.
    """

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.samples = []

    def training_step(self, batch, batch_idx):
        self.samples += zip(batch.epochs.tolist(), batch.indices.tolist(), strict=True)
        return super().training_step(batch, batch_idx)

    def on_save_checkpoint(self, checkpoint):
        checkpoint["samples"] = [list(each) for each in self.samples]

    def on_load_checkpoint(self, checkpoint):
        self.samples = [tuple(each) for each in checkpoint["samples"]]


class KeyedClassification(VideoClassification):
    """One that needs a key, such as for a service of the user's own."""

    def __init__(self, *, api_key, service, lengths, **arguments):
        super().__init__(**arguments)
        if (len(api_key), len(service)) != tuple(lengths):
            raise ValueError("neither key nor address has come as it was given")


class KilledClassification(VideoClassification):
    """One whose process is killed before an optimiser step, if the file `alive` is still there."""

    def __init__(self, *, alive, step, **arguments):
        super().__init__(**arguments)
        self.alive = Path(alive)
        self.step = step

    def training_step(self, batch, batch_idx):
        if self.global_step == self.step and self.alive.exists():
            self.alive.unlink(missing_ok=True)  # another rank may be as far
            os.kill(os.getpid(), signal.SIGKILL)
        return super().training_step(batch, batch_idx)
