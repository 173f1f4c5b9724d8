"""The theorems on networks with random weights: what the code says, not what training found."""

import numpy as np
import pytest
import torch

from tests.generated.ladder.conftest import SETTINGS
from videoclf.build import build
from videoclf.cli.composing import compose_train
from videoclf.config import plain
from videoclf.generated.ladder.events import CLASSES, EventOrder, draw_flashes
from videoclf.generated.ladder.videos import LadderVideos
from videoclf.ladder.predictions import Claim, say
from videoclf.ladder.strategies import STRATEGIES
from videoclf.ladder.tasks import COLUMNS

#: Relative differences of scores: rounding, and what is certainly more.
SAME, OTHER = 2e-5, 2e-4

PROVEN = [
    (strategy, column)
    for strategy in STRATEGIES
    for column in COLUMNS
    if say(strategy, column).claim is Claim.THEOREM and column.name != "motion_only"
]


def network(strategy, num_frames, size_pixels, num_classes=2):
    """Build a strategy's network in eval mode, drawn anew: nothing starts at 0 or even in time."""
    torch.manual_seed(1)
    config = compose_train(
        [
            "data=ladder",
            *strategy.overrides,
            f"data.num_frames={num_frames}",
            f"data.size_pixels={size_pixels}",
            f"data.num_classes={num_classes}",
        ]
    )
    model = build(plain(config.model), name="model").eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:  # inflated kernels start equal over time, some layers at zero
            parameter.data.normal_(0, max(1, parameter[0].numel()) ** -0.5)
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 2)  # a non-local block is the identity at first
            module.bias.data.normal_(0, 0.2)
    return model


def scores(model, clips):
    """Video scores of uint8 clips (N, T, H, W, 3), as the evaluation makes them: (N, K)."""
    batch = (torch.from_numpy(np.stack(clips)).float() / 255 - 0.45) / 0.225
    with torch.no_grad():
        logits = model(batch.permute(0, 4, 1, 2, 3))
    if logits.ndim == 3:
        return logits.softmax(-1).mean(1)
    return logits


def difference(model, clips):
    """Largest difference of scores between clips, relative to their size."""
    found = scores(model, clips)
    return float((found - found[0]).abs().max() / found.abs().max())


def orbit(column, number):
    settings = dict(word.removeprefix("data.").split("=") for word in column.overrides)
    task = settings.pop("task")
    values = {
        name: int(value) if value.isdigit() else float(value) for name, value in settings.items()
    }
    videos = LadderVideos(task=task, root=None, **{**SETTINGS, **values})
    return [videos.draw(f"test/{name}/{number:05d}.mp4") for name in videos.classes]


@pytest.mark.parametrize(
    ("strategy", "column"), PROVEN, ids=[f"{s.folder_name}-{c.name}" for s, c in PROVEN]
)
def test_a_theorem_holds_for_any_weights(strategy, column):
    clips = orbit(column, 5)
    model = network(strategy, len(clips[0]), clips[0].shape[1], column.num_classes)
    assert difference(model, clips) < SAME


@pytest.mark.parametrize(
    "strategy", [s for s in STRATEGIES if s.blind], ids=lambda s: s.folder_name
)
def test_opposite_motions_in_noise_are_one_to_the_blind(strategy):
    clips = orbit(next(c for c in COLUMNS if c.name == "motion_only"), 2)
    model = network(strategy, 16, 32, 4)
    assert difference(model, clips[:2]) < SAME
    assert difference(model, clips[2:]) < SAME


@pytest.mark.parametrize(
    "strategy",
    [s for s in STRATEGIES if not s.blind],
    ids=lambda s: s.folder_name,
)
def test_others_tell_left_from_right(strategy):
    clips = orbit(next(c for c in COLUMNS if c.name == "motion_direction"), 3)
    assert difference(network(strategy, 16, 48), clips) > OTHER


def flashes(*, first, apart, num_frames=32):
    return [
        draw_flashes(
            np.random.default_rng(3),
            num_frames=num_frames,
            size_pixels=32,
            first=first,
            second=first + apart,
            red_first=red_first,
        )
        for red_first in (True, False)
    ]


@pytest.mark.parametrize("name", ["3D CNN", "3D CNN + non-local"])
def test_window_blindness_needs_distance_and_margins(name):
    strategy = next(s for s in STRATEGIES if s.name == name)
    model = network(strategy, 32, 32)
    assert difference(model, flashes(first=9, apart=12)) < SAME
    assert difference(model, flashes(first=9, apart=4)) > OTHER  # within the window
    assert difference(model, flashes(first=1, apart=12)) > OTHER  # zero padding tells the end
    assert difference(model, flashes(first=9, apart=11)) > OTHER  # no multiple of the stride


def test_circular_padding_knows_no_time():
    circular = next(s for s in STRATEGIES if s.name == "3D CNN, circular in time")
    zeros = next(s for s in STRATEGIES if s.name == "3D CNN")
    early, late = (flashes(first=first, apart=4)[0] for first in (2, 26))
    assert difference(network(circular, 32, 32), [early, late]) < SAME
    assert difference(network(zeros, 32, 32), [early, late]) > OTHER


def test_the_window_is_as_long_as_the_strategy_says():
    """Frames beyond the window around a frame do not change its part of the last maps."""
    strategy = next(s for s in STRATEGIES if s.name == "3D CNN")
    model = network(strategy, 32, 32)
    clip = torch.zeros(1, 3, 32, 32, 32, requires_grad=True)
    maps = {}
    model.cnn.layer4.register_forward_hook(lambda _m, _i, output: maps.update(last=output))
    model(clip + torch.rand_like(clip))
    maps["last"][:, :, 8].sum().backward()
    seen = clip.grad.abs().sum(dim=(0, 1, 3, 4)).nonzero().flatten()
    assert len(seen) == strategy.window_frames == 9
    assert strategy.stride_frames == 2


def test_event_order_draws_what_the_theorem_needs():
    task = EventOrder(
        classes=CLASSES, num_frames=32, size_pixels=32, frames_apart=12, margin_frames=9
    )
    for seed in range(5):
        clip = task.draw(0, np.random.default_rng(seed), subset="test")
        lit = [t for t, frame in enumerate(clip) if frame.std(axis=(0, 1)).max() > 1]
        assert lit[1] - lit[0] == 12
        assert lit[0] >= 9
        assert lit[1] <= 31 - 9
