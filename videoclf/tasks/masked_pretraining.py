"""Masked pretraining: hide most of a clip, predict its pixels; no label is read.

Training logs `train/loss`, validation `val/loss`, a test `<subset>/loss_NxM`: the mean squared
error over hidden tubelets. What is hidden depends on (seed, epoch, row of the
manifest, number of the clip), as augmentation does, so that it is the same on any number of ranks
and after any restart; in evaluation the epoch is left out. Fine-tuning starts from the checkpoint
by `init_from` (`videoclf.init_from`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import nn

from videoclf.errors import NonFiniteLossError
from videoclf.evaluation.evaluator import Evaluation
from videoclf.evaluation.losses import ShardLosses, VideoLosses, join_losses
from videoclf.evaluation.scores import gather
from videoclf.models.masked_autoencoder import (
    MaskedAutoencoder,
    draw_tubes,
    join_tubelets,
    mean_and_deviation,
    reconstruction_loss,
    tubelet_pixels,
)
from videoclf.models.videomae import VideoMAE
from videoclf.optimizers import OptimizerFactory
from videoclf.reports.reconstructions import Reconstruction
from videoclf.tasks.video_task import VideoTask, check_complete
from videoclf.types import Batch, Unreadable

if TYPE_CHECKING:
    from videoclf.data.datamodule import VideoDataModule

#: The stream of random numbers that hides; see `videoclf.transforms.clip` for the others.
MASK = 7
#: What stands for hidden pixels in pictures; lighter than the gaps of a filmstrip.
HIDDEN_GREY = 0.8
#: Clips whose reconstruction the report shows.
NUM_SHOWN = 6


class MaskedPretraining(VideoTask):
    """A masked autoencoder around the encoder of a model.

    Args:
        model: a VideoMAE, whose encoder learns; its class head is left out.
        optimizer: factory of optimiser and schedule.
        max_unreadable: unreadable videos of this rank that are left out.
        mask_ratio: share of a slice's places that is hidden, rounded down.
        decoder_depth: blocks of the decoder.
        normalised_target: each tubelet's pixels less their mean, over their deviation, instead of
            pixels: edges and textures count as much in a flat tubelet as in a rich one.
        mean: of each channel, as the transform has taken it off.
        std: of each channel, likewise.

    Raises:
        ValueError: another model, or a value out of range.
    """

    RUNTIME_ARGUMENTS: ClassVar[frozenset[str]] = frozenset(
        {"model", "optimizer", "max_unreadable"}
    )
    model: MaskedAutoencoder

    def __init__(
        self,
        *,
        model: nn.Module,
        optimizer: OptimizerFactory,
        max_unreadable: int,
        mask_ratio: float,
        decoder_depth: int,
        normalised_target: bool,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        if not isinstance(model, VideoMAE):
            raise ValueError(
                f"task=masked_pretraining trains the encoder of a VideoMAE, not of "
                f"{type(model).__name__}; choose model=videomae_small, videomae_s, videomae_b "
                "or videomae_l"
            )
        network = MaskedAutoencoder(encoder=model.encoder, decoder_depth=decoder_depth)
        super().__init__(model=network, optimizer=optimizer, max_unreadable=max_unreadable)
        self.mask_ratio = mask_ratio
        self.normalised_target = normalised_target
        draw_tubes(model.encoder.grid, mask_ratio, np.random.default_rng(0))  # refuses wrong ratios
        self.mean = tuple(mean)
        self.std = tuple(std)
        self._rows: list[torch.Tensor] = []
        self._losses: list[torch.Tensor] = []
        self._unreadable: list[Unreadable] = []
        self._shown_rows: frozenset[int] = frozenset()
        self._shown: list[tuple[int, Reconstruction]] = []

    # training -------------------------------------------------------------------------------

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:  # noqa: ARG002
        """Return the mean loss over clips."""
        self.note_unreadable(batch)
        if not len(batch):
            return self.no_effect()
        rgb = batch.inputs["rgb"]  # (N, 3, T, H, W), N = B * V clips
        hidden = self.hidden_tubelets(batch, batch.epochs.tolist())
        found = self.model(rgb, hidden)
        loss = self.losses_of(found, rgb, hidden).mean()
        self.log("train/loss", loss, on_step=True, batch_size=len(batch))
        self.log("learning_rate", self.trainer.optimizers[0].param_groups[0]["lr"])
        self._last_batch = batch
        return loss

    def hidden_tubelets(self, batch: Batch, epochs: Sequence[int]) -> torch.Tensor:
        """Draw what is hidden of each clip, bool (B * V, N), on the device of the clips."""
        rgb = batch.inputs["rgb"]
        grid = self.model.encoder.grid_of(*rgb.shape[2:])
        seed = self.trainer.datamodule.seed  # type: ignore[attr-defined]
        drawn = [
            draw_tubes(grid, self.mask_ratio, np.random.default_rng((seed, epoch, row, MASK, view)))
            for epoch, row in zip(epochs, batch.indices.tolist(), strict=True)
            for view in range(batch.num_views)
        ]
        return torch.from_numpy(np.stack(drawn)).to(rgb.device)

    def pixels(self, rgb: torch.Tensor) -> torch.Tensor:
        """Return normalised clips (N, 3, T, H, W) as pixels in [0, 1], float32."""
        mean, std = (
            torch.tensor(values, device=rgb.device).view(1, -1, 1, 1, 1)
            for values in (self.mean, self.std)
        )
        return rgb.float() * std + mean

    def losses_of(
        self, found: torch.Tensor, rgb: torch.Tensor, hidden: torch.Tensor
    ) -> torch.Tensor:
        """Return the loss of each clip, (N,), from what was found of rgb (N, 3, T, H, W)."""
        return reconstruction_loss(
            found,
            self.pixels(rgb),
            hidden,
            self.model.encoder,
            normalised=self.normalised_target,
        )

    # evaluation -----------------------------------------------------------------------------

    def measured(self) -> list[str]:
        """Return what a validation logs."""
        return ["val/loss"]

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        """Measure one batch of validation videos."""
        self._measure(batch)

    def on_validation_epoch_end(self) -> None:
        """Join the losses of all ranks and log their mean, `val/loss`."""
        self.log("val/loss", self._join("val").mean)

    def on_test_start(self) -> None:
        """Choose the clips to show: evenly spaced over the subset."""
        datamodule: VideoDataModule = self.trainer.datamodule  # type: ignore[attr-defined]
        rows = datamodule.rows(datamodule.test_subset)
        places = np.linspace(0, len(rows) - 1, min(NUM_SHOWN, len(rows))).round().astype(int)
        self._shown_rows, self._shown = frozenset(rows[places].tolist()), []

    def test_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        """Measure one batch of videos, all their views."""
        self._measure(batch)

    def evaluation(self, datamodule: VideoDataModule, subset: str, seconds: float) -> Evaluation:
        """Join the losses of all ranks; see `VideoTask.evaluation`."""
        losses = self._join(subset)
        shown = dict(pair for pairs in gather(self._shown) for pair in pairs)
        name = f"{subset}/loss_{datamodule.views['test'].name}"
        return Evaluation(
            subset,
            losses,
            {name: losses.mean},
            seconds,
            reconstructions=tuple(shown[row] for row in sorted(shown)),
        )

    def _measure(self, batch: Batch) -> None:
        """Keep each video's loss, the mean of its views', and pictures of those to be shown."""
        self.unreadable.update({record.index: record for record in batch.unreadable})
        self._unreadable += batch.unreadable
        if not len(batch):
            return
        rgb = batch.inputs["rgb"]
        hidden = self.hidden_tubelets(batch, [0] * len(batch))
        step = self.trainer.datamodule.batch_size  # type: ignore[attr-defined]
        # the views of one video may be many: at most `batch_size` clips go through at once
        pieces = [slice(first, first + step) for first in range(0, len(rgb), step)]
        found = torch.cat([self.model(rgb[piece], hidden[piece]).float() for piece in pieces])
        losses = self.losses_of(found, rgb, hidden)
        if not torch.isfinite(losses).all():
            raise NonFiniteLossError(
                "the loss is not finite in evaluation; the weights have diverged: lower "
                "optimizer.learning_rate or set trainer.gradient_clip_val"
            )
        self._rows.append(batch.indices)
        self._losses.append(losses.unflatten(0, (len(batch), batch.num_views)).mean(1).cpu())
        for place, row in enumerate(batch.indices.tolist()):
            if row in self._shown_rows:
                clip = place * batch.num_views  # its first view
                picture = self._picture(row, rgb[clip], hidden[clip], found[clip], losses[clip])
                self._shown.append((row, picture))

    def _picture(
        self,
        row: int,
        rgb: torch.Tensor,
        hidden: torch.Tensor,
        found: torch.Tensor,
        loss: torch.Tensor,
    ) -> Reconstruction:
        """Show a clip (3, T, H, W), hidden (N,), found (M, P).

        A network that predicts normalised pixels says nothing of a tubelet's mean and contrast:
        these are the original's.
        """
        encoder = self.model.encoder
        pixels = self.pixels(rgb[None])
        tubelets = tubelet_pixels(
            pixels, tubelet_frames=encoder.tubelet_frames, patch_pixels=encoder.patch_pixels
        )
        masked, restored = tubelets.clone(), tubelets.clone()
        masked[0, hidden] = HIDDEN_GREY
        predicted = found.unflatten(1, (-1, 3))  # (M, pixels of one channel, 3)
        if self.normalised_target:
            mean, deviation = mean_and_deviation(tubelets)
            predicted = predicted * deviation[0, hidden] + mean[0, hidden]
        restored[0, hidden] = predicted
        grid = encoder.grid_of(*rgb.shape[1:])
        clips = [
            join_tubelets(each, grid, tubelet_frames=encoder.tubelet_frames)[0]
            for each in (tubelets, masked, restored)
        ]
        frames = torch.stack(clips).clamp(0, 1).mul(255).round().byte()  # (3, 3, T, H, W)
        manifest = self.trainer.datamodule.manifest  # type: ignore[attr-defined]
        return Reconstruction(
            path=manifest.record(row).path,
            frames=frames.permute(0, 2, 3, 4, 1).cpu().numpy(),  # (3, T, H, W, 3)
            loss=float(loss),
            num_hidden=int(hidden.sum()),
            num_tubelets=len(hidden),
            normalised=self.normalised_target,
        )

    def _join(self, subset: str) -> VideoLosses:
        """Return the losses of all ranks since the last call, and forget this rank's.

        Raises:
            DataError: more videos are unreadable than allowed.
        """
        shard = ShardLosses(
            rows=torch.cat(self._rows) if self._rows else torch.zeros(0, dtype=torch.int64),
            losses=torch.cat(self._losses) if self._losses else torch.zeros(0),
            unreadable=tuple(self._unreadable),
        )
        self._rows, self._losses, self._unreadable = [], [], []
        rows = self.trainer.datamodule.rows(subset)  # type: ignore[attr-defined]
        joined = join_losses(gather(shard), rows=rows)
        check_complete(joined, self.max_unreadable)
        return joined
