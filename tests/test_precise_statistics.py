import numpy as np
import pytest
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging
from torch import nn

from tests.conftest import train_tiny
from tests.models.contract import configured
from tests.small_training import train
from videoclf.checkpoints import load
from videoclf.data.batch_sampler import TrainBatches
from videoclf.data.dataset import collate
from videoclf.precise_statistics import PreciseStatistics

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers", "ignore:.*LeafSpec", "ignore:Found .* in eval mode"
)


class Small(nn.Module):
    """Norm, 1x1x1 convolution, norm: small enough for numpy."""

    def __init__(self):
        super().__init__()
        self.first = nn.BatchNorm3d(3)
        self.dropout = nn.Dropout(0.5)
        self.mix = nn.Conv3d(3, 4, kernel_size=1, bias=False)
        self.second = nn.BatchNorm3d(4)
        self.classifier = nn.Linear(4, 5)

    def forward(self, rgb):
        maps = self.second(self.mix(self.dropout(self.first(rgb))))
        return self.classifier(maps.relu().mean((2, 3, 4)))


def expected(model, data, *, epoch, num_batches):
    """Statistics of both norms by numpy, over the first batches of an epoch."""
    drawn = TrainBatches(np.arange(16), batch_size=4, seed=0, rank=0, world=1)
    drawn.set_epoch(epoch)
    inputs, mixed = [], []
    scale, shift = (p.detach().numpy() for p in (model.first.weight, model.first.bias))
    for keys in list(drawn)[:num_batches]:
        batch = collate([data.dataset[key] for key in keys])
        batch = data.transform.on_device(batch, seed=0, train=True)
        clips = batch.inputs["rgb"].double().numpy()
        values = np.moveaxis(clips, 1, -1).reshape(-1, 3)  # (N, 3)
        inputs.append(values)
        normal = (values - values.mean(0)) / np.sqrt(values.var(0) + model.first.eps)
        weight = model.mix.weight.detach().double().numpy().reshape(4, 3)
        mixed.append((normal * scale + shift) @ weight.T)  # (N, 4)
    return [np.concatenate(values) for values in (inputs, mixed)]


@pytest.mark.parametrize("averaged", [False, True])
@pytest.mark.parametrize("num_batches", [1, 3])
def test_they_are_the_population_s_over_the_drawn_batches(num_batches, averaged):
    torch.manual_seed(0)
    model = Small()
    before = [EMAWeightAveraging(decay=0.7)] if averaged else []
    _, data = train(model, *before, PreciseStatistics(num_batches))
    # after the last validation nothing trains; with averaging the averages are the model's
    populations = expected(model, data, epoch=1, num_batches=num_batches)
    for norm, values in zip((model.first, model.second), populations, strict=True):
        np.testing.assert_allclose(norm.running_mean, values.mean(0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(norm.running_var, values.var(0), rtol=1e-4, atol=1e-5)
        assert norm.momentum == 0.1
        assert averaged or norm.num_batches_tracked == 8  # an average of counts otherwise


def test_training_goes_on_as_if_nothing_had_been():
    weights = []
    for callbacks in ((), (PreciseStatistics(2),)):
        torch.manual_seed(0)
        model = Small()
        train(model, *callbacks)
        weights.append([parameter.detach().clone() for parameter in model.parameters()])
    for value, other in zip(*weights, strict=True):
        assert torch.equal(value, other)


def test_norms_of_a_frozen_network_keep_their_statistics():
    model = configured("cnn_rnn", frozen=True, num_frames=4)
    before = {name: value.clone() for name, value in model.cnn.named_buffers()}
    train(model, PreciseStatistics(2), epochs=1)
    for name, value in model.cnn.named_buffers():
        assert torch.equal(value, before[name]), name


@pytest.mark.slow
def test_two_ranks_share_the_statistics_of_both(tmp_path):
    """With weights that stay, the first norm's statistics are those of one rank's whole batches."""
    common = ["model.temporal_strides=[1,2]", "batch_norm.precise_batches=2"]
    common += ["optimizer.learning_rate=1e-12", "optimizer.weight_decay=0"]
    pair = ["trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu", "data.batch_size=4"]
    found = []
    for name, settings in (("alone", []), ("pair", pair)):
        finished = train_tiny(tmp_path / name, *common, *settings)
        assert finished.returncode == 0, finished.stderr
        found.append(load(tmp_path / name / "checkpoints" / "best.ckpt")["state_dict"])
    for key in ("running_mean", "running_var"):
        alone, pair_of = (state[f"model.stages.0.1.{key}"] for state in found)
        torch.testing.assert_close(pair_of, alone, rtol=1e-4, atol=1e-6)
