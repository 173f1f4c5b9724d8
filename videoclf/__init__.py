"""videoclf: how should a network fuse time? Train, evaluate and compare video classifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

    from videoclf.predicting.predictor import Predictor

__version__ = "0.1.0"


def load(
    checkpoint: str | os.PathLike[str], *settings: str, device: str | None = None
) -> Predictor:
    """Load a run's checkpoint to predict with.

    >>> model = videoclf.load("best.ckpt", "views.num_clips=5")
    >>> model.predict("a.mp4").top(2)
    [("archery", 0.93), ("golf", 0.04)]

    Args:
        checkpoint: of a classification, such as `runs/.../checkpoints/best.ckpt`.
        settings: overrides as evaluate.py takes them; the sampler, transform and views of the
            checkpoint's own test stand otherwise.
        device: cpu or cuda; None takes cuda where there is one.

    Raises:
        ConfigError: an override is wrong, or the checkpoint is of no classification.
        CheckpointError: it is missing or damaged.
    """
    from videoclf.cli import trained  # torch and Hydra are imported when they are needed

    return trained.load(checkpoint, settings, device=device)
