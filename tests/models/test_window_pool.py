import pytest
import torch
from torch import nn

from tests.models.contract import check_contract, configured
from videoclf.errors import ConfigError
from videoclf.models.blocks.window_pool import WindowPool
from videoclf.weights.card import Card
from videoclf.weights.settings import test_settings as settings_of_a_test
from videoclf.weights.settings import training_settings

TINY = {
    "resnet_3d_small": {"stem_width": 4},
    "slowfast_small": {"width": 8},
    "x3d_xs": {"widths": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "stem_width": 8, "head_width": 32},
}


@pytest.mark.parametrize("average", ["logits", "probabilities"])
@pytest.mark.parametrize("name", TINY)
def test_contract(name, average):
    settings = {"window_pixels": 64, "window_average": average, "dropout": 0.0}
    check_contract(lambda: configured(name, **TINY[name], **settings), image_size=96)


def reference(maps, head, places):
    """PySlowFast's head in evaluation: pool windows, project and activate each, average."""
    pooled = nn.functional.avg_pool3d(maps, (maps.shape[2], places, places), stride=1)
    scores = head(pooled.permute(0, 2, 3, 4, 1)).softmax(-1)
    return scores.mean(dim=(1, 2, 3))


def test_the_softmax_of_each_window_is_averaged():
    maps, head = torch.randn(2, 6, 4, 8, 9), nn.Linear(6, 5)
    pool = WindowPool(window_pixels=200, window_average="probabilities").eval()
    with torch.no_grad():
        windows = pool.join(pool(maps))
        assert windows.shape == (2, 2 * 3, 6)  # 200 pixels are 7 x 7 places
        expected, whole = reference(maps, head, 7), head(maps.mean((2, 3, 4))).softmax(-1)
        torch.testing.assert_close(head(windows).softmax(-1).mean(1), expected)
        assert (whole - expected).abs().max() > 1e-3


def test_windows_speak_in_evaluation_only():
    maps = torch.randn(1, 6, 4, 8, 8)
    pool = WindowPool(window_pixels=224, window_average="probabilities")
    assert pool.train().join(pool(maps)).shape == (1, 6)
    assert pool.eval().join(pool(maps)).shape == (1, 4, 6)


@pytest.mark.parametrize("side", [7, 5])
def test_a_map_that_is_no_larger_is_one_window(side):
    maps = torch.randn(2, 6, 4, side, side)
    pool = WindowPool(window_pixels=224, window_average="probabilities").eval()
    found = pool.join(pool(maps))
    torch.testing.assert_close(found, maps.mean((2, 3, 4)))


def test_a_card_sets_them_for_training_and_test():
    chosen = {"window_pixels": 160, "window_average": "probabilities"}
    card = Card(name="a:b", layout="pytorchvideo", model="x3d_s", model_settings=chosen)
    for settings in (training_settings(card), settings_of_a_test(card)):
        assert settings["model.window_pixels"] == 160
        assert settings["model.window_average"] == "probabilities"


def test_wrong_values():
    with pytest.raises(ConfigError, match=r"window_average='mean' is none of logits, probab.*"):
        configured("x3d_xs", window_average="mean")
    with pytest.raises(ConfigError, match=r"window_pixels=0 must be at least 1; null for the .*"):
        configured("resnet_3d_small", window_pixels=0)
