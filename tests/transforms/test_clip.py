import numpy as np
import pytest
import torch

from videoclf.transforms.clip import Box, ClipTransform
from videoclf.types import Batch


def transform(**changes):
    settings = {
        "resize_pixels": 32,
        "crop_pixels": 24,
        "scale": (0.4, 1.0),
        "aspect": (0.75, 4 / 3),
        "flip_probability": 0.5,
        "directional": False,
        "mean": (0.5, 0.25, 0.0),
        "std": (0.5, 0.25, 1.0),
    }
    return ClipTransform(**{**settings, **changes})


def batch(clips, epoch=0):
    videos, views = clips.shape[:2]
    return Batch(
        inputs={"rgb": clips},
        labels=torch.zeros(videos, 1, dtype=torch.int64),
        epochs=torch.full((videos,), epoch),
        indices=torch.arange(videos),
        num_views=views,
    )


def random_clips(videos=4, views=1, edge=24):
    return torch.randint(0, 256, (videos, views, 3, edge, edge, 3), dtype=torch.uint8)


def test_random_crops_stay_inside_and_keep_their_bounds():
    generator = np.random.default_rng(0)
    for _ in range(200):
        box = transform().train_box(32, 48, generator)
        assert 0 <= box.top <= 32 - box.height
        assert 0 <= box.left <= 48 - box.width
        assert 0.35 <= box.height * box.width / (32 * 48) <= 1.0
        assert 0.7 <= box.width / box.height <= 1.4


def test_a_crop_that_never_fits_becomes_the_largest_centre_square():
    wide = transform(scale=(1.0, 1.0), aspect=(1.0, 1.0))
    assert wide.train_box(32, 48, np.random.default_rng(0)) == Box(0, 8, 32, 32)


@pytest.mark.parametrize(
    ("size", "num_crops", "corners"),
    [
        ((32, 48), 1, [(4, 12)]),
        ((32, 48), 3, [(4, 0), (4, 12), (4, 24)]),
        ((48, 32), 3, [(0, 4), (12, 4), (24, 4)]),
        ((32, 48), 5, [(0, 0), (0, 24), (8, 0), (8, 24), (4, 12)]),
    ],
)
def test_test_crops_lie_where_the_protocol_says(size, num_crops, corners):
    boxes = transform().view_boxes(*size, num_crops)
    assert [(box.top, box.left) for box in boxes] == corners
    assert {(box.height, box.width) for box in boxes} == {(24, 24)}


def test_cutting_crops_then_resizes():
    clip = np.zeros((2, 32, 48, 3), np.uint8)
    clip[:, :, 24:] = 200
    cut = transform().cut(clip, Box(0, 0, 32, 48))
    assert cut.shape == (2, 24, 24, 3)
    assert cut.dtype == np.uint8
    assert (cut[:, :, :10] == 0).all()
    assert (cut[:, :, 14:] == 200).all()
    same = transform().cut(clip, Box(4, 12, 24, 24))
    assert (same == clip[:, 4:28, 12:36]).all()


def test_the_device_part_permutes_and_normalises():
    clips = random_clips(videos=2, views=3)
    result = transform().on_device(batch(clips), seed=0, train=False).inputs["rgb"]
    assert result.shape == (6, 3, 3, 24, 24)
    assert result.is_contiguous(memory_format=torch.channels_last_3d)
    expected = (clips[1, 2, 0, 5, 7].float() / 255 - torch.tensor([0.5, 0.25, 0.0])) / torch.tensor(
        [0.5, 0.25, 1.0]
    )
    torch.testing.assert_close(result[5, :, 0, 5, 7], expected)


def test_flips_follow_seed_epoch_and_index_alone():
    clips = random_clips(videos=16)
    straight = transform().on_device(batch(clips), seed=3, train=False).inputs["rgb"]

    def flipped(seed, epoch):
        result = transform().on_device(batch(clips, epoch), seed=seed, train=True).inputs["rgb"]
        return [not torch.equal(a, b) for a, b in zip(result, straight, strict=True)]

    assert flipped(3, 0) == flipped(3, 0)
    assert flipped(3, 0) != flipped(3, 1)
    assert flipped(3, 0) != flipped(4, 0)
    assert 3 <= sum(flipped(3, 0)) <= 13


def test_a_flip_mirrors_columns():
    clips = random_clips(videos=1)
    always = transform(flip_probability=1.0)
    straight = always.on_device(batch(clips), seed=0, train=False).inputs["rgb"]
    mirrored = always.on_device(batch(clips), seed=0, train=True).inputs["rgb"]
    torch.testing.assert_close(mirrored, straight.flip(4))


def test_directional_data_are_never_flipped():
    assert transform(flip_probability=1.0, directional=True).flip_probability == 0.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop_pixels": 40}, "transform.crop_pixels=40 must be above 0 and at most"),
        ({"scale": (0.0, 1.0)}, r"transform.scale=\[0.0, 1.0\] must be ascending"),
        ({"aspect": (2.0, 1.0)}, r"transform.aspect=\[2.0, 1.0\] must be ascending"),
        ({"flip_probability": 2}, "transform.flip_probability=2 must be in"),
        ({"std": (0.0, 1.0, 1.0)}, "do not fit"),
    ],
)
def test_wrong_values_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        transform(**changes)


def test_impossible_crops_are_refused():
    with pytest.raises(ValueError, match="a frame of 48x20 has no crop of 24 pixels"):
        transform().view_boxes(20, 48, 1)
    with pytest.raises(ValueError, match="views.num_crops=4 must be 1, 3 or 5"):
        transform().view_boxes(32, 48, 4)
