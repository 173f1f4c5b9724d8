"""What W&B and TensorBoard show of an evaluation beside curves: metrics, confusions, mistakes.

The pictures are those of the report, on white.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger

from videoclf.errors import VideoclfError
from videoclf.reports.analysis import confident_mistakes, confusion_matrix
from videoclf.reports.charts import matrix_png
from videoclf.reports.filmstrip import FrameReader, read_evenly
from videoclf.reports.predictions import Predictions, read_predictions

MAX_STRIPS, NUM_FRAMES, SHORT_SIDE = 4, 6, 96
#: Of cells on and off the diagonal, as in the report.
HIT, MISS = (31, 111, 235), (207, 34, 46)
GAP_PIXELS = 3


def log_evaluation(
    loggers: Sequence[Logger],
    folder: Path,
    *,
    metrics: Mapping[str, float],
    root: Path,
    step: int,
    read_frames: FrameReader = read_evenly,
) -> None:
    """Tell the loggers that show pictures what an evaluation has found.

    Args:
        loggers: of the run; those without pictures are left out.
        folder: of the run, with its `predictions.parquet` where the task has predictions.
        metrics: of the evaluation, by name.
        root: of the videos.
        step: at which they stand beside the curves.
        read_frames: reads frames evenly spaced.
    """
    seeing = [each for each in loggers if isinstance(each, (TensorBoardLogger, WandbLogger))]
    if not seeing:
        return
    file = folder / "predictions.parquet"
    pictures = list(_pictures(read_predictions(file), root, read_frames)) if file.exists() else []
    for logger in seeing:
        logger.log_metrics(dict(metrics), step=step)
        for name, caption, picture in pictures:
            if isinstance(logger, WandbLogger):
                logger.log_image(name, [Image.fromarray(picture)], caption=[caption])
            else:
                logger.experiment.add_image(name, picture, step, dataformats="HWC")
        logger.save()


def _pictures(
    predictions: Predictions, root: Path, read_frames: FrameReader
) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield name, caption and picture, uint8 (H, W, 3)."""
    if not predictions.multi_label:
        counts = confusion_matrix(predictions)
        shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
        classes = ", ".join(predictions.class_names[:20])
        caption = f"true classes down, predicted ones across: {classes}"
        yield "test/confusion", caption, on_white(matrix_png(shares, HIT, MISS, min_pixels=400))
    for number, mistake in enumerate(confident_mistakes(predictions, MAX_STRIPS)[0]):
        try:
            frames = read_frames(
                root / mistake.path, mistake.start, mistake.end, NUM_FRAMES, SHORT_SIDE
            )
        except VideoclfError:
            continue  # it is listed as unreadable elsewhere
        true, sure = ", ".join(mistake.true), f"{mistake.confidence:.2f}"
        caption = f"{mistake.path}: {true}, taken for {mistake.predicted} ({sure})"
        yield f"test/mistake_{number + 1}", caption, side_by_side(frames)


def on_white(address: str) -> np.ndarray:
    """Return a `data:` address of a PNG as a picture on white, uint8 (H, W, 3)."""
    picture = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
    white = Image.new("RGBA", picture.size, "white")
    return np.asarray(Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB"))


def side_by_side(frames: np.ndarray) -> np.ndarray:
    """Return frames, uint8 (N, H, W, 3), as one picture (H, W', 3) with grey gaps."""
    gap = np.full((*frames.shape[:2], GAP_PIXELS, 3), 128, dtype=np.uint8)  # (N, H, gap, 3)
    spaced = np.concatenate([frames, gap], axis=2)  # (N, H, W + gap, 3)
    return spaced.transpose(1, 0, 2, 3).reshape(frames.shape[1], -1, 3)[:, :-GAP_PIXELS]
