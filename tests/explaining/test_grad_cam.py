import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.models.contract import configured
from videoclf.explaining.grad_cam import grad_cam
from videoclf.explaining.heat import upsample


class BrightnessNet(nn.Module):
    """Class 1 is bright, class 0 dark: logits are the mean brightness of cells, and its negative.

    A second channel is constant, and speaks for both.
    """

    def __init__(self):
        super().__init__()
        self.cells = nn.Conv3d(3, 2, kernel_size=(2, 4, 4), stride=(2, 4, 4))
        nn.init.zeros_(self.cells.weight)
        with torch.no_grad():
            self.cells.weight[0] = 1 / (3 * 2 * 4 * 4)
            self.cells.bias[:] = torch.tensor([0.0, 1.0])
        self.classifier = nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.classifier.weight[:] = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])

    def features(self, rgb):
        return self.cells(rgb).mean(dim=(2, 3, 4))

    def forward(self, rgb):
        return self.classifier(self.features(rgb))


def moving_square(num_frames=8, pixels=32, edge=6):
    """A bright square that moves right on black; the clip and its mask."""
    mask = torch.zeros(num_frames, pixels, pixels)
    for frame in range(num_frames):
        mask[frame, 10 : 10 + edge, 3 * frame : 3 * frame + edge] = 1
    return mask.expand(1, 3, -1, -1, -1).contiguous(), mask


def test_a_net_whose_answer_is_known():
    rgb, mask = moving_square()
    heat, layer = grad_cam(BrightnessNet().eval(), {"rgb": rgb}, class_id=1, layer=None)
    assert layer == "cells"
    brightness = F.avg_pool3d(mask[None], (2, 4, 4))[0]  # (4, 8, 8)
    # d score / d channel is 1 / cells at each of them
    torch.testing.assert_close(heat, brightness / brightness.numel())
    heat, _ = grad_cam(BrightnessNet().eval(), {"rgb": rgb}, class_id=0, layer=None)
    assert not heat.any()  # nothing is dark enough to speak for it


def test_a_trained_net_looks_at_the_shape():
    """Noise with the square or without: learned in a second or two."""
    torch.manual_seed(0)
    model = configured("slow_fusion", num_classes=2, widths=[8, 16], temporal_strides=[1, 2])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    rgb, mask = moving_square()
    for _ in range(25):
        labels = torch.arange(8) % 2
        clips = 0.3 * torch.randn(8, *rgb.shape[1:]) + labels[:, None, None, None, None] * rgb
        loss = F.cross_entropy(model(clips), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    clip = 0.3 * torch.randn_like(rgb) + rgb
    heat, _ = grad_cam(model.eval(), {"rgb": clip}, class_id=1, layer=None)
    found = upsample(heat, tuple(clip.shape[2:]))
    assert model(clip).argmax() == 1
    assert found[mask == 1].mean() > 2 * found[mask == 0].mean()


@pytest.mark.parametrize(
    ("name", "changes", "layer", "shape"),
    [
        ("slow_fusion", {"widths": [4, 8], "temporal_strides": [1, 2]}, None, (4, None, None)),
        ("late_fusion_pool", {"backbone": "test_resnet"}, None, (8, None, None)),
        ("early_fusion", {"backbone": "test_resnet"}, None, (1, None, None)),
        ("recurrent_cnn", {}, "layers.2.directions.0", (8, None, None)),
        ("mvit_small", {}, "blocks.5.norm1", (4, 2, 2)),
        ("swin3d_small", {}, None, (4, 2, 2)),
        ("timesformer_small", {}, "blocks.3.norm1", (8, 4, 4)),
        ("vivit_small", {}, "blocks.3.norm1", (4, 4, 4)),
        ("videomae_small", {}, "encoder.blocks.3.norm1", (4, 4, 4)),
        ("vjepa2_small", {}, "pooler.blocks.0.norm1", (4, 4, 4)),
    ],
)
def test_every_family_has_heat_of_its_shape(name, changes, layer, shape):
    model = configured(name, **changes).eval()
    nn.init.normal_(model.classifier.weight)
    torch.manual_seed(0)
    rgb = torch.randn(1, 3, 8, 32, 32)
    found = [grad_cam(model, {"rgb": rgb}, class_id=c, layer=None) for c in range(5)]
    heat, used = max(found, key=lambda pair: float(pair[0].sum()))
    assert layer in (None, used)
    assert all(wanted in (None, size) for wanted, size in zip(shape, heat.shape, strict=True))
    assert heat.isfinite().all()
    assert heat.min() >= 0
    assert heat.max() > 0


def test_a_layer_is_chosen_by_its_name():
    model = configured("resnet_3d_small").eval()
    rgb = torch.randn(1, 3, 8, 32, 32)
    name = next(name for name, m in model.named_modules() if isinstance(m, nn.Conv3d))
    heat, used = grad_cam(model, {"rgb": rgb}, class_id=0, layer=name)
    assert used == name
    assert heat.shape[1] > 4  # the first layer's maps are fine


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("stages.99", "the model has no layer 'stages.99'; some are "),
        ("classifier", "the layer classifier has no maps for Grad-CAM"),
    ],
)
def test_wrong_layers_are_refused(layer, message):
    model = configured("resnet_3d_small").eval()
    with pytest.raises(ValueError, match=message):
        grad_cam(model, {"rgb": torch.randn(1, 3, 8, 32, 32)}, class_id=0, layer=layer)
