import numpy as np
import pytest
import torch

from tests.transforms.examples import NO_JITTER, erasing, mixing, standard, strong
from videoclf.errors import ConfigError
from videoclf.transforms.crops import Box
from videoclf.types import Batch


def random_clips(videos, views=1):
    return torch.randint(0, 256, (videos, views, 3, 24, 24, 3), dtype=torch.uint8)


def batch(clips, epoch=0, first_index=100):
    return Batch(
        inputs={"rgb": clips},
        labels=torch.zeros(len(clips), 1, dtype=torch.int64),
        epochs=torch.full((len(clips),), epoch),
        indices=torch.arange(len(clips)) + first_index,
        num_views=clips.shape[1],
    )


# in the worker


def test_a_crop_that_never_fits_becomes_the_largest_centre_square():
    wide = standard(scale=(1.0, 1.0), aspect=(1.0, 1.0))
    assert wide.train_box(32, 48, np.random.default_rng(0)) == Box(0, 8, 32, 32)


def test_the_short_side_is_drawn_uniformly_from_its_range():
    """Mean and variance of the whole numbers from 256 to 320: 288 and (65 ** 2 - 1) / 12."""
    jittered = standard(
        resize_pixels=256, crop_pixels=224, short_side=(256, 320), scale=None, aspect=None
    )
    generator = np.random.default_rng(0)
    sides = np.array([jittered.train_short_side(generator) for _ in range(5000)])
    assert (sides.min(), sides.max()) == (256, 320)
    assert sides.mean() == pytest.approx(288, abs=1)
    assert sides.var() == pytest.approx(352, rel=0.05)
    box = jittered.train_box(300, 400, generator)
    assert (box.height, box.width) == (224, 224)


def test_without_jitter_the_short_side_takes_no_random_number():
    generator, untouched = np.random.default_rng(0), np.random.default_rng(0)
    assert standard().train_short_side(generator) == 32
    assert generator.random() == untouched.random()


def test_cutting_crops_then_resizes():
    clip = np.zeros((2, 32, 48, 3), np.uint8)
    clip[:, :, 24:] = 200
    cut = standard().cut(clip, Box(0, 0, 32, 48))
    assert cut.shape == (2, 24, 24, 3)
    assert cut.dtype == np.uint8
    assert (cut[:, :, :10] == 0).all()
    assert (cut[:, :, 14:] == 200).all()
    same = standard().cut(clip, Box(4, 12, 24, 24))
    assert (same == clip[:, 4:28, 12:36]).all()


def test_cutting_takes_the_frames_asked_for():
    frames = np.random.default_rng(0).integers(0, 256, (5, 32, 48, 3), np.uint8)
    rows, box = np.array([4, 0, 0]), Box(2, 3, 29, 31)
    assert (standard().cut(frames, box, rows) == standard().cut(frames, box)[rows]).all()


def test_ten_crops_are_five_and_their_mirrors():
    frames = np.random.default_rng(0).integers(0, 256, (2, 32, 48, 3), np.uint8)
    ten = standard().view_crops(frames, 10)
    five = standard().view_crops(frames, 5)
    assert len(ten) == 10
    for crop, expected in zip(ten, [*five, *(crop[:, :, ::-1] for crop in five)], strict=True):
        assert crop.shape == (2, 24, 24, 3)
        assert (crop == expected).all()
    assert (five[4] == frames[:, 4:28, 12:36]).all()


def test_directional_data_have_no_mirrored_crops():
    with pytest.raises(ConfigError, match=r"views.num_crops=10 mirrors .* set views.num_crops=5"):
        standard(directional=True).view_crops(np.zeros((1, 32, 32, 3), np.uint8), 10)
    standard(directional=True).check_crops(5)
    standard().check_crops(10)


# on the device


def test_the_device_part_permutes_and_normalises():
    clips = random_clips(videos=2, views=3)
    before = clips.clone()
    result = strong().on_device(batch(clips), seed=0, train=False)
    video = result.inputs["rgb"]
    assert result.mix is None
    assert video.shape == (6, 3, 3, 24, 24)
    assert video.is_contiguous(memory_format=torch.channels_last_3d)
    expected = (clips[1, 2, 0, 5, 7].float() / 255 - torch.tensor([0.5, 0.25, 0.0])) / torch.tensor(
        [0.5, 0.25, 1.0]
    )
    torch.testing.assert_close(video[5, :, 0, 5, 7], expected)
    assert torch.equal(clips, before)


def test_flips_follow_seed_epoch_and_index_alone():
    clips = random_clips(videos=16)
    straight = standard().on_device(batch(clips), seed=3, train=False).inputs["rgb"]

    def flipped(seed, epoch):
        result = standard().on_device(batch(clips, epoch), seed=seed, train=True).inputs["rgb"]
        return [not torch.equal(a, b) for a, b in zip(result, straight, strict=True)]

    assert flipped(3, 0) == flipped(3, 0)
    assert flipped(3, 0) != flipped(3, 1)
    assert flipped(3, 0) != flipped(4, 0)
    assert 3 <= sum(flipped(3, 0)) <= 13


def test_a_flip_mirrors_columns():
    clips = random_clips(videos=1)
    always = standard(flip_probability=1.0)
    straight = always.on_device(batch(clips), seed=0, train=False).inputs["rgb"]
    mirrored = always.on_device(batch(clips), seed=0, train=True).inputs["rgb"]
    torch.testing.assert_close(mirrored, straight.flip(4))


def test_directional_data_are_never_flipped():
    assert standard(flip_probability=1.0, directional=True).flip_probability == 0.0


def test_every_frame_of_a_clip_gets_the_same():
    clips = random_clips(videos=24)[:, :, :1].repeat(1, 1, 3, 1, 1, 1)
    result = strong().on_device(batch(clips), seed=0, train=True).inputs["rgb"]
    assert (result == result[:, :, :1]).all()
    assert result.is_contiguous(memory_format=torch.channels_last_3d)
    straight = strong().on_device(batch(clips), seed=0, train=False).inputs["rgb"]
    assert all(not torch.equal(a, b) for a, b in zip(result, straight, strict=True))


def test_a_clip_does_not_depend_on_the_rest_of_its_batch():
    clips = random_clips(videos=6, views=2)
    made = strong(mixing=mixing(0.0))
    together = made.on_device(batch(clips), seed=0, train=True).inputs["rgb"]
    alone = made.on_device(batch(clips[4:5], first_index=104), seed=0, train=True).inputs["rgb"]
    assert torch.equal(together[8:10], alone)
    other_epoch = made.on_device(batch(clips, epoch=1), seed=0, train=True).inputs["rgb"]
    assert not torch.equal(together, other_epoch)


def test_clips_of_one_video_are_augmented_differently():
    clips = random_clips(videos=1).repeat(1, 4, 1, 1, 1, 1)
    result = strong(mixing=mixing(0.0)).on_device(batch(clips), seed=0, train=True).inputs["rgb"]
    assert len({clip.sum().item() for clip in result}) == 4


def test_one_augmentation_less_leaves_the_others_as_they_are():
    """Without jitter, mixing shares and flips are what they were."""
    clips = random_clips(videos=8)
    both = strong().on_device(batch(clips), seed=0, train=True).mix
    one = strong(colour_jitter=NO_JITTER).on_device(batch(clips), seed=0, train=True).mix
    assert torch.equal(both.own_share, one.own_share)
    assert torch.equal(both.partner, one.partner)


def test_shares_of_a_mix_are_the_samples_and_partners_are_the_batchs():
    made, clips = strong(), random_clips(videos=8, views=2)
    whole = made.on_device(batch(clips), seed=0, train=True).mix
    assert sorted(whole.partner.tolist()) == list(range(16))
    again = made.on_device(batch(clips), seed=0, train=True).mix
    assert torch.equal(whole.partner, again.partner)
    half = made.on_device(batch(clips[:4]), seed=0, train=True).mix
    assert torch.equal(whole.own_share[:8], half.own_share)
    assert max(half.partner.tolist()) == 7
    later = made.on_device(batch(clips, epoch=1), seed=0, train=True).mix
    assert not torch.equal(whole.partner, later.partner)


def test_directional_data_are_not_turned():
    """Stripes along the rows stay so: no rotation and no shear."""
    clips = torch.arange(24, dtype=torch.uint8)[None, None, None, :, None, None] * 10
    clips = clips.repeat(32, 1, 2, 1, 24, 3)
    made = strong(directional=True, erasing=erasing(0.0), mixing=mixing(0.0))
    result = made.on_device(batch(clips), seed=0, train=True).inputs["rgb"]
    middle = result[..., 11:13]  # what shifts uncover lies at the border
    assert (middle[..., 0] == middle[..., 1]).all()


@pytest.mark.slow  # the first use of the meta device loads much of torch
def test_all_of_it_happens_where_the_batch_lies():
    """Without a GPU: the meta device has shapes only, and refuses to meet tensors of the CPU."""
    clips = random_clips(videos=8, views=2)
    for epoch in range(4):
        result = strong().on_device(batch(clips.to("meta"), epoch), seed=0, train=True)
        assert result.inputs["rgb"].device.type == "meta"
        assert result.inputs["rgb"].shape == (16, 3, 3, 24, 24)
        assert {result.mix.partner.device.type, result.mix.own_share.device.type} == {"meta"}


def test_a_batch_of_nothing_stays_so():
    nothing = Batch({}, torch.zeros(0, 1), torch.zeros(0), torch.zeros(0), 0)
    assert strong().on_device(nothing, seed=0, train=True).inputs == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop_pixels": 40}, "transform.crop_pixels=40 must be above 0 and at most"),
        ({"scale": (0.0, 1.0)}, r"transform.scale=\[0.0, 1.0\] must be ascending"),
        ({"aspect": (2.0, 1.0)}, r"transform.aspect=\[2.0, 1.0\] must be ascending"),
        (
            {"scale": None},
            "transform.scale=None and .* must both be given, or .*short_side",
        ),
        ({"short_side": (24, 32)}, r"short_side=\[24, 32\] draws .* transform.scale=null and"),
        (
            {"short_side": (20, 32), "scale": None, "aspect": None},
            r"transform.short_side=\[20, 32\] must be ascending and at least .*crop_pixels=24",
        ),
        ({"flip_probability": 2}, "transform.flip_probability=2 must be in"),
        ({"std": (0.0, 1.0, 1.0)}, "do not fit"),
    ],
)
def test_wrong_values_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        standard(**changes)
