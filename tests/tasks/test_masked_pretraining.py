from types import SimpleNamespace

import pytest
import torch
import yaml

from tests.forked_runs import train_forked
from tests.models.contract import configured
from tests.resuming import assert_same_end, fit, start_folder
from videoclf.checkpoints import load
from videoclf.init_from import start_from
from videoclf.optimizers import AdamW
from videoclf.reports.metrics_csv import read_metrics
from videoclf.reports.results import Results
from videoclf.tasks.masked_pretraining import MaskedPretraining
from videoclf.types import Batch, Unreadable

SMALL = {"width": 32, "depth": 2, "num_heads": 2}
RUN = (
    "task=masked_pretraining",
    "task.mask_ratio=0.75",
    "task.decoder_depth=1",
    "model=videomae_small",
    *(f"model.{key}={value}" for key, value in SMALL.items()),
    "trainer=cpu",
    "trainer.max_epochs=2",
)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """The folder of a finished pretraining of two epochs, four steps each."""
    folder = tmp_path_factory.mktemp("runs") / "pretrained"
    assert "val/loss" in train_forked(folder, *RUN)
    return folder


def task(model=None, **changes):
    settings = {
        "mask_ratio": 0.75,
        "decoder_depth": 1,
        "normalised_target": True,
        "mean": [0.45] * 3,
        "std": [0.225] * 3,
    }
    made = MaskedPretraining(
        model=configured("videomae_small", **SMALL) if model is None else model,
        optimizer=AdamW(
            learning_rate=0.01,
            weight_decay=0.0,
            head_learning_rate_factor=1.0,
            layer_decay=1.0,
            warmup_fraction=0.0,
            final_fraction=0.0,
            betas=(0.9, 0.95),
        ),
        max_unreadable=1,
        **{**settings, **changes},
    )
    made.log = lambda *arguments, **settings: None
    made.trainer = SimpleNamespace(
        optimizers=[torch.optim.SGD(made.parameters(), lr=0.1)],
        datamodule=SimpleNamespace(seed=3, batch_size=4),
    )
    return made


def batch(rows, views=1, epoch=0):
    return Batch(
        inputs={"rgb": torch.randn(len(rows) * views, 3, 8, 32, 32)},
        labels=torch.full((len(rows), 1), -1),  # none is read
        epochs=torch.full((len(rows),), epoch),
        indices=torch.tensor(rows),
        num_views=views,
    )


def test_what_is_hidden_depends_on_the_clip_and_the_epoch_alone():
    made = task()
    together = made.hidden_tubelets(batch([5, 9, 2], views=2), [1, 1, 1])
    alone = made.hidden_tubelets(batch([9], views=2), [1])
    assert together.shape == (6, 4 * 16)
    assert together.dtype == torch.bool
    assert torch.equal(together[2:4], alone)
    assert not torch.equal(alone[0], alone[1])  # each clip of a video has tubes of its own
    assert not torch.equal(made.hidden_tubelets(batch([9], views=2), [2]), alone)
    made.trainer.datamodule.seed = 4
    assert not torch.equal(made.hidden_tubelets(batch([9], views=2), [1]), alone)


def test_pixels_are_those_before_the_transform():
    pixels = torch.rand(2, 3, 8, 32, 32)
    rgb = (pixels - 0.45) / 0.225
    torch.testing.assert_close(task().pixels(rgb), pixels)


def test_a_step_learns():
    made, given = task(), batch([0, 1, 2, 3])
    waves = torch.linspace(0, 12, 32).sin()  # stripes, the same in all clips: soon known
    given = given.with_inputs({"rgb": waves.expand(4, 3, 8, 32, 32).contiguous()})
    optimizer = torch.optim.AdamW(made.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        loss = made.training_step(given, 0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_a_batch_of_nothing_readable_has_no_effect():
    none = torch.zeros(0, dtype=torch.int64)
    empty = Batch({}, none[:, None], none, none, 0, (Unreadable(3, "a", "b"),))
    assert task().training_step(empty, 0) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mask_ratio": 1.0}, r"task.mask_ratio=1.0 hides 16 of 16 places of a slice \(4 x 4"),
        ({"mask_ratio": 0.0}, "give one in .0, 1. that hides some and leaves some"),
        ({"decoder_depth": 0}, "task.decoder_depth=0 must be at least 1"),
    ],
)
def test_wrong_values_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        task(**changes)


def test_another_model_is_refused():
    with pytest.raises(ValueError, match="VideoMAE, not of SlowFusion; choose model=videomae_sm"):
        task(configured("slow_fusion"))


def test_a_run_follows_the_loss_and_shows_reconstructions(pretrained):
    config = yaml.safe_load((pretrained / "config.yaml").read_text())
    assert (config["checkpoint"]["monitor"], config["checkpoint"]["mode"]) == ("val/loss", "min")
    metrics = read_metrics(pretrained / "metrics.csv")
    assert len(metrics["val/loss"]) == 2
    assert "train/loss" in metrics
    results = Results.load(pretrained / "results.json")
    assert list(results.metrics) == ["test/loss_2x1"]
    assert 0 < results.metrics["test/loss_2x1"] < 2
    assert results.counts == {"expected": 16, "evaluated": 16, "missing": 0}
    assert not (pretrained / "predictions.parquet").exists()
    page = (pretrained / "report.html").read_text()
    assert "Reconstructions" in page
    assert "24 of 32\N{NO-BREAK SPACE}tubelets" in page or "24 of 32 tubelets" in page
    assert page.count('<figure class="film-row">') == 6 * 3
    assert "Confusion" not in page


def test_a_checkpoint_holds_the_network_without_a_class_head(pretrained):
    state = load(pretrained / "checkpoints" / "best.ckpt")["state_dict"]
    parts = {name.split(".")[1] for name in state}
    expected = {"encoder", "norm", "to_decoder", "mask_token", "decoder", "decoder_norm"}
    assert parts == expected | {"to_pixels"}


def test_a_stopped_pretraining_goes_on_bit_by_bit(pretrained, tmp_path):
    whole = start_folder(pretrained, tmp_path / "whole")
    assert not fit(whole, num_workers=0)
    broken = start_folder(pretrained, tmp_path / "broken")
    assert fit(broken, num_workers=0, stop_at=(1, 2))
    last = broken / "checkpoints" / "last.ckpt"
    assert not fit(broken, num_workers=0, resume_from=last)
    assert_same_end(whole, broken)


def test_fine_tuning_takes_the_encoder_and_says_what_it_leaves(pretrained):
    path = pretrained / "checkpoints" / "best.ckpt"
    model = configured("videomae_small", **SMALL, num_frames=4, seed=9)
    head = model.classifier.weight.detach().clone()
    said = start_from(path, model, class_names=list("abcde"), allow_unmatched=False)
    state = load(path)["state_dict"]
    for name, value in model.encoder.state_dict().items():
        assert torch.equal(value, state[f"model.encoder.{name}"])
    assert torch.equal(model.classifier.weight, head)
    assert "28 tensors and 0 of 5 classes by name; as expected after pretraining, left" in said
    assert "norm.*, to_decoder.*, decoder.*, decoder_norm.*, to_pixels.*" in said
    assert said.endswith("new: mean_norm.*, classifier.*")
