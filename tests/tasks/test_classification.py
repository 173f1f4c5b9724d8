from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from videoclf.errors import DataError, NonFiniteLossError
from videoclf.optimizers import AdamW
from videoclf.tasks.classification import VideoClassification, clip_metrics
from videoclf.types import Batch, Mix, Unreadable


class PerFrame(nn.Module):
    """Mean colour of each frame -> logits a frame (N, T, K)."""

    def __init__(self, num_classes, speaks_often):
        super().__init__()
        self.classifier = nn.Linear(3, num_classes)
        self.speaks_often = speaks_often

    def forward(self, rgb):
        logits = self.classifier(rgb.mean((3, 4)).transpose(1, 2))
        return logits if self.speaks_often else logits.mean(1)


def task(num_classes=3, speaks_often=False, label_smoothing=0.0, max_unreadable=0):
    torch.manual_seed(0)
    made = VideoClassification(
        model=PerFrame(num_classes, speaks_often),
        optimizer=AdamW(
            learning_rate=0.1,
            weight_decay=0.0,
            head_learning_rate_factor=1.0,
            layer_decay=1.0,
            warmup_fraction=0.0,
            final_fraction=0.0,
            betas=(0.9, 0.99),
        ),
        num_classes=num_classes,
        label_smoothing=label_smoothing,
        max_unreadable=max_unreadable,
    )
    made.log = made.log_dict = lambda *arguments, **settings: None
    made.trainer = SimpleNamespace(optimizers=[torch.optim.SGD(made.parameters(), lr=0.1)])
    return made


def batch(videos=4, views=1, unreadable=()):
    return Batch(
        inputs={"rgb": torch.randn(videos * views, 3, 5, 8, 8)},
        labels=torch.arange(videos)[:, None] % 3,
        epochs=torch.zeros(videos, dtype=torch.int64),
        indices=torch.arange(videos),
        num_views=views,
        unreadable=tuple(unreadable),
    )


def test_the_loss_is_the_cross_entropy_of_each_clip():
    made, given = task(label_smoothing=0.1), batch(videos=3, views=2)
    logits = made.model(**given.inputs)
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    expected = nn.functional.cross_entropy(logits, labels, label_smoothing=0.1)
    torch.testing.assert_close(made.training_step(given, 0), expected)


def test_the_loss_of_a_model_that_speaks_often_averages_over_what_it_says():
    made, given = task(speaks_often=True), batch()
    logits = made.model(**given.inputs)  # (N, S, K)
    per_word = [nn.functional.cross_entropy(logits[:, s], given.labels[:, 0]) for s in range(5)]
    torch.testing.assert_close(made.training_step(given, 0), torch.stack(per_word).mean())


def test_targets_are_mixed_as_the_clips_were():
    made, given = task(), batch(videos=2, views=2)  # labels 0, 0, 1, 1
    mix = Mix(partner=torch.tensor([2, 1, 3, 0]), own_share=torch.tensor([0.25, 0.5, 0.5, 1.0]))
    mixed = given.with_inputs(given.inputs, mix)
    expected = torch.tensor([[0.25, 0.75, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]])
    torch.testing.assert_close(made._targets(mixed), expected)
    logits = made.model(**given.inputs).log_softmax(1)
    loss = -(expected * logits).sum(1).mean()
    torch.testing.assert_close(made.training_step(mixed, 0), loss)


def test_targets_of_any_mix_sum_to_one():
    generator = torch.Generator().manual_seed(0)
    given = batch(videos=32)
    mix = Mix(torch.randperm(32, generator=generator), torch.rand(32, generator=generator))
    targets = task()._targets(given.with_inputs(given.inputs, mix))
    torch.testing.assert_close(targets.sum(1), torch.ones(32))
    assert (targets >= 0).all()


def test_a_batch_of_nothing_readable_has_no_effect():
    made = task(max_unreadable=1)
    empty = Batch(
        {}, torch.zeros(0, 1), torch.zeros(0), torch.zeros(0), 0, (Unreadable(3, "a", "b"),)
    )
    loss = made.training_step(empty, 0)
    loss.backward()
    assert loss == 0
    assert all((p.grad == 0).all() for p in made.parameters())


def test_more_unreadable_videos_than_allowed_stop_the_run():
    made = task(max_unreadable=1)
    made.training_step(batch(unreadable=[Unreadable(7, "a.mp4", "is empty")]), 0)
    made.training_step(batch(unreadable=[Unreadable(7, "a.mp4", "is empty")]), 1)  # the same one
    with pytest.raises(DataError, match=r"2 unreadable video\(s\), 1 allowed: a.mp4: is empty; b"):
        made.training_step(batch(unreadable=[Unreadable(8, "b.mp4", "ends early")]), 2)


def test_metrics_are_cloned_per_split():
    first, second = (clip_metrics(8).clone(prefix=p) for p in ("train/", "val/"))
    first.update(torch.eye(8), torch.arange(8))
    assert set(first.compute()) == {"train/clip_top1", "train/clip_top5", "train/clip_mean_class"}
    assert first.compute()["train/clip_top1"] == 1
    assert not second["clip_top1"].update_called
    assert "clip_top5" not in clip_metrics(5)


def test_wrong_smoothing_is_refused():
    with pytest.raises(ValueError, match="task.label_smoothing=1.0 must be in"):
        task(label_smoothing=1.0)


def test_gradients_that_are_not_finite_stop_the_step():
    made = task()
    made.trainer = SimpleNamespace(precision="bf16-mixed", global_step=7)
    for parameter in made.parameters():
        parameter.grad = torch.zeros_like(parameter)
    made.on_before_optimizer_step(None)
    made.model.classifier.weight.grad[0, 0] = float("nan")
    with pytest.raises(NonFiniteLossError, match="1 of 2 parameters .model.classifier.weight. are"):
        made.on_before_optimizer_step(None)
    made.trainer.precision = "16-mixed"  # the scaler's affair
    made.on_before_optimizer_step(None)


def test_what_a_validation_measures_is_known_before_but_not_of_a_class_made_from_it():
    made = task()
    made.trainer.datamodule = SimpleNamespace(
        listed=lambda subset: (np.arange(4), np.arange(4) % 3),
        views={"val": SimpleNamespace(name="1x1")},
    )
    names = ["val/video_loss", "val/video_top1_1x1", "val/video_mean_class_1x1"]
    assert made.measured() == names
    made.__class__ = type("Mine", (VideoClassification,), {"__module__": "mine"})
    assert made.measured() is None
