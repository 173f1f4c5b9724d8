"""A whole training in a second, in this process: tiny random clips, a model, callbacks."""

from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
import yaml
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from videoclf.build import build
from videoclf.data.batch_sampler import EvalBatches, TrainBatches
from videoclf.data.dataset import collate
from videoclf.types import Sample

CONF = Path(__file__).parents[1] / "conf"
BATCH_SIZE, NUM_CLIPS = 4, 16


class Clips(Dataset):
    """Random clips by (epoch, row), uint8 (1, T, H, W, 3)."""

    def __init__(self, num_frames=4, image_size=32):
        self.shape = (1, num_frames, image_size, image_size, 3)

    def __getitem__(self, key):
        epoch, row = key
        clip = np.random.default_rng(row).integers(0, 256, self.shape, dtype=np.uint8)
        return Sample({"rgb": clip}, (row % 5,), epoch, row)


class Data(pl.LightningDataModule):
    """Loaders over `Clips` as those of a run: batches of (epoch, row), the transform afterwards."""

    def __init__(self, **shape):
        super().__init__()
        self.seed = 0
        self.dataset = Clips(**shape)
        size = self.dataset.shape[2]
        node = yaml.safe_load((CONF / "transform" / "plain.yaml").read_text(encoding="utf-8"))
        pixels = {"resize_pixels": size, "crop_pixels": size, "directional": False}
        self.transform = build({**node, **pixels}, name="transform")

    def train_dataloader(self):
        rows = np.arange(NUM_CLIPS)
        drawn = TrainBatches(rows, batch_size=BATCH_SIZE, seed=0, rank=0, world=1)
        return DataLoader(self.dataset, batch_sampler=drawn, collate_fn=collate)

    def val_dataloader(self):
        drawn = EvalBatches(np.arange(2), batch_size=2, rank=0, world=1)
        return DataLoader(self.dataset, batch_sampler=drawn, collate_fn=collate)

    def on_after_batch_transfer(self, batch, dataloader_idx):
        return self.transform.on_device(batch, seed=self.seed, train=self.trainer.training)


class Task(pl.LightningModule):
    """Cross-entropy around `model`, plain gradient descent."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def training_step(self, batch, batch_idx):
        return F.cross_entropy(self.model(**batch.inputs), batch.labels[:, 0])

    def validation_step(self, batch, batch_idx):
        self.model(**batch.inputs)

    def configure_optimizers(self):
        learning = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return torch.optim.SGD(learning, lr=0.05)


def train(model, *callbacks, epochs=2, **shape):
    """Train a model with callbacks; return the trainer and the data."""
    pl.seed_everything(0, verbose=False)
    data = Data(**shape)
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        callbacks=list(callbacks),
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        enable_model_summary=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
    )
    trainer.fit(Task(model), datamodule=data)
    return trainer, data
