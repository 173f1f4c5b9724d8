import pytest
import torch
from torch import nn

from tests.models.contract import configured, randomize_norms
from videoclf.errors import ConfigError
from videoclf.evaluation.folding import fold_batch_norms

NETS = {
    "r3d_18": {},
    "r2plus1d_18": {},
    "late_fusion_pool": {"backbone": "test_resnet"},
    "cnn_rnn": {"backbone": "test_efficientnet"},  # batch norms with their activation inside
    "inflated_tiny": {},
    "slowfast_small": {"num_frames": 16},
}


def norms(model):
    return [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]


@pytest.mark.parametrize("name", NETS)
def test_a_folded_network_says_the_same_with_fewer_layers(name):
    changes = NETS[name]
    model = randomize_norms(configured(name, **changes)).eval()
    clips = {"rgb": torch.randn(2, 3, changes.get("num_frames", 8), 32, 32)}
    before, count = model(**clips), len(norms(model))
    folded = fold_batch_norms(model, clips)
    assert folded > 0
    assert len(norms(model)) == count - folded
    assert torch.allclose(model(**clips), before, atol=1e-4)


class Twice(nn.Module):
    """A convolution whose output goes to its norm, and past it."""

    def __init__(self, in_place):
        super().__init__()
        self.convolution, self.norm = nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4)
        self.in_place = in_place

    def forward(self, rgb):
        maps = self.convolution(rgb)
        if self.in_place:
            return self.norm(maps.relu_()).mean((2, 3, 4))
        return (self.norm(maps) + maps).mean((2, 3, 4))


def test_an_output_that_goes_elsewhere_too_is_noticed():
    model = randomize_norms(Twice(in_place=False)).eval()
    with pytest.raises(ConfigError, match="changes the logits of Twice"):
        fold_batch_norms(model, {"rgb": torch.randn(2, 3, 2, 4, 4)})


def test_an_activation_in_place_between_them_is_noticed():
    model = randomize_norms(Twice(in_place=True)).eval()
    with pytest.raises(ConfigError, match="no batch norm right behind a convolution"):
        fold_batch_norms(model, {"rgb": torch.randn(2, 3, 2, 4, 4)})


def test_a_network_without_batch_norms_is_refused():
    model = configured("vivit_small").eval()
    with pytest.raises(ConfigError, match="leave it out"):
        fold_batch_norms(model, {"rgb": torch.randn(1, 3, 8, 32, 32)})
