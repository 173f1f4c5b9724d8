import numpy as np
import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import RandAugment as OfTorchvision

from videoclf.transforms.rand_augment import OPERATIONS, RandAugment

#: Our names and torchvision's.
NAMES = {
    "identity": "Identity",
    "shear_x": "ShearX",
    "shear_y": "ShearY",
    "translate_x": "TranslateX",
    "translate_y": "TranslateY",
    "rotate": "Rotate",
    "brightness": "Brightness",
    "colour": "Color",
    "contrast": "Contrast",
    "sharpness": "Sharpness",
    "posterize": "Posterize",
    "solarize": "Solarize",
    "auto_contrast": "AutoContrast",
    "equalize": "Equalize",
}
FILL = (10.0, 20.0, 30.0)


def rand(**changes):
    settings = {"num_operations": 4, "probability": 0.5, "magnitude": 7, "deviation": 0.5}
    return RandAugment(**{**settings, **changes})


def smooth_clip(num_frames=3):
    """One picture of slow waves, repeated: uint8 (3, T, 40, 40)."""
    rows, columns = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    waves = [torch.sin(rows / 9 + k) + torch.cos(columns / 7 - k) for k in range(3)]
    picture = (60 * torch.stack(waves) + 120).to(torch.uint8)
    return picture[:, None].repeat(1, num_frames, 1, 1)


def test_the_operations_are_those_of_torchvision():
    assert set(NAMES) == set(OPERATIONS)
    assert set(NAMES.values()) == set(OfTorchvision._AUGMENTATION_SPACE)
    signed = {NAMES[name] for name, operation in OPERATIONS.items() if operation.signed}
    assert signed == {name for name, (_, s) in OfTorchvision._AUGMENTATION_SPACE.items() if s}


@pytest.mark.parametrize("bin_of_30", [0, 9, 21, 30])
@pytest.mark.parametrize("name", NAMES)
def test_an_operation_of_strength_s_is_torchvisions_of_bin_30_s(name, bin_of_30):
    """On a clip of equal frames a statistic of all frames is one of each frame."""
    theirs = OfTorchvision(fill=list(FILL))
    magnitudes, signed = theirs._AUGMENTATION_SPACE[NAMES[name]]
    levels = magnitudes(31, 40, 40)
    magnitude = 0.0 if levels is None else float(levels[bin_of_30])
    clip = smooth_clip()
    for sign in (1, -1) if signed else (1,):
        exact = name.startswith(("shear", "rotate"))
        expected = theirs._apply_image_or_video_transform(
            clip.transpose(0, 1),
            NAMES[name],
            sign * magnitude,
            interpolation=InterpolationMode.BILINEAR if exact else InterpolationMode.NEAREST,
            fill=theirs._fill,
        ).transpose(0, 1)
        ours = rand().apply(clip, [(name, sign * bin_of_30 / 30)], FILL)
        assert ours.dtype == torch.uint8
        assert (ours.int() - expected.int()).abs().max() <= 1, (name, sign)


@pytest.mark.parametrize("name", NAMES)
def test_equal_frames_stay_equal(name):
    changed = rand().apply(smooth_clip(), [(name, 0.7)], FILL)
    assert changed.shape == (3, 3, 40, 40)
    assert (changed == changed[:, :1]).all()


@pytest.mark.parametrize("name", ["auto_contrast", "equalize", "contrast"])
def test_one_curve_serves_all_frames(name):
    """A dark and a bright frame: where grey levels were equal they stay equal."""
    clip = torch.zeros(3, 2, 8, 8, dtype=torch.uint8)
    clip[:, 0, :4], clip[:, 0, 4:] = 20, 100
    clip[:, 1, :4], clip[:, 1, 4:] = 100, 180
    changed = rand().apply(clip, [(name, 0.7)], FILL)
    assert (changed[:, 0, 7] == changed[:, 1, 0]).all()
    assert (changed[:, 0, 0] < changed[:, 0, 7]).all()
    assert (changed[:, 1, 0] < changed[:, 1, 7]).all()


def test_draws_follow_number_probability_and_magnitude():
    generator = np.random.default_rng(0)
    draws = [rand().draw(generator, directional=False) for _ in range(1000)]
    assert max(map(len, draws)) == 4
    assert np.mean([len(draw) for draw in draws]) == pytest.approx(2, abs=0.1)
    flat = [pair for draw in draws for pair in draw]
    assert {name for name, _ in flat} == set(OPERATIONS)
    strengths = np.abs([strength for _, strength in flat])
    assert strengths.mean() == pytest.approx(0.7, abs=0.01)
    assert strengths.std() == pytest.approx(0.05, abs=0.005)
    assert {np.sign(s) for name, s in flat if name == "rotate"} == {-1, 1}
    assert {np.sign(s) for name, s in flat if name == "solarize"} == {1}


def test_magnitudes_stay_within_the_range():
    generator = np.random.default_rng(0)
    high = rand(magnitude=10, deviation=5, probability=1.0)
    strengths = [abs(s) for _ in range(50) for _, s in high.draw(generator, directional=False)]
    assert max(strengths) == 1
    assert min(strengths) >= 0


def test_directional_data_are_moved_but_not_turned():
    generator = np.random.default_rng(0)
    draws = [rand().draw(generator, directional=True) for _ in range(500)]
    names = {name for draw in draws for name, _ in draw}
    assert names == set(OPERATIONS) - {"shear_x", "shear_y", "rotate"}


def test_off_is_off():
    assert not rand(num_operations=0).active
    assert not rand(probability=0.0).active
    assert rand().active


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_operations": -1}, "rand_augment.num_operations=-1 must be at least 0; 0 switches"),
        ({"probability": 2}, "transform.rand_augment.probability=2 must be in"),
        ({"magnitude": 21}, r"magnitude=21 must be in \[0, 10\]; divide one of torchvision by 3"),
        ({"deviation": -0.5}, "transform.rand_augment.deviation=-0.5 must be at least 0"),
    ],
)
def test_wrong_values_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        rand(**changes)
