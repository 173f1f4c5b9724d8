import pytest
import timm
import torch
from torch import nn
from torchvision.models import googlenet

from tests.models.contract import check_contract, configured, permutation_error, randomize_norms
from videoclf.models.inflation import InflatedCNN, inflate, inflate_weights

#: a ResNet of timm narrow enough for a test
NARROW = {"channels": (8, 8, 16, 16), "stem_width": 8, "num_classes": 0, "layers": (1, 1, 1, 1)}
ALL_THREE = {"": 3}


def narrow_resnet(**changes):
    torch.manual_seed(0)
    block = timm.models.resnet.Bottleneck
    network = timm.models.ResNet(**{"block": block, **NARROW, **changes})
    return randomize_norms(network).eval()


def repeated(image, num_frames):
    return image.unsqueeze(2).repeat(1, 1, num_frames, 1, 1)


@pytest.mark.parametrize("initialization", ["repeat", "centre"])
def test_a_kernel_sums_to_the_2d_one(initialization):
    convolution = nn.Conv2d(2, 3, (3, 5), padding=(1, 2), bias=True)
    inflated = inflate(
        convolution, temporal_kernels={"": 5}, temporal_strides={}, initialization=initialization
    )
    assert inflated.weight.shape == (3, 2, 5, 3, 5)
    torch.testing.assert_close(inflated.weight.sum(2), convolution.weight)
    torch.testing.assert_close(inflated.bias, convolution.bias)
    if initialization == "centre":
        assert torch.equal(inflated.weight[:, :, 2], convolution.weight)
        assert not inflated.weight[:, :, [0, 1, 3, 4]].any()
    else:
        torch.testing.assert_close(inflated.weight[:, :, 0], convolution.weight / 5)


@pytest.mark.parametrize("initialization", ["repeat", "centre"])
def test_interior_frames_of_a_repeated_frame_are_those_of_resnet18(initialization):
    torch.manual_seed(0)
    plain = timm.create_model("resnet18", num_classes=0, global_pool="")
    plain = randomize_norms(plain).eval()
    inflated = inflate(
        plain, temporal_kernels=ALL_THREE, temporal_strides={}, initialization=initialization
    )
    image = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        expected = plain(image)  # (1, 512, 1, 1)
        maps = inflated(repeated(image, 37))  # 17 convolutions reach 17 frames to each side
    assert maps.shape == (1, 512, 37, 1, 1)
    assert expected.std() > 0.1
    for frame in (17, 18, 19):
        torch.testing.assert_close(maps[:, :, frame], expected, atol=1e-4, rtol=1e-4)
    if initialization == "repeat":
        assert (maps[:, :, 0] - expected).abs().max() > 0.1  # zeros enter at the clip's ends


@pytest.mark.parametrize("block", ["BasicBlock", "Bottleneck"])
def test_with_replicate_padding_all_frames_are(block):
    plain = narrow_resnet(block=getattr(timm.models.resnet, block))
    inflated = inflate(
        plain,
        temporal_kernels={"conv1": 5, "layer1": 3, "layer3": 3, "layer4.0.conv1": 3},
        temporal_strides={"layer3": 2, "layer4": 2},
        time_padding="replicate",
    )
    image = torch.randn(2, 3, 40, 56)
    with torch.no_grad():
        torch.testing.assert_close(inflated(repeated(image, 5)), plain(image), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {"avg_down": True, "stem_type": "deep"},  # ResNet-D
        {"cardinality": 2, "base_width": 32},  # ResNeXt
        {"block_args": {"attn_layer": "se"}},
        {"block_args": {"attn_layer": "eca"}},
        {"aa_layer": timm.layers.BlurPool2d},
    ],
)
def test_the_resnet_family(changes):
    plain = narrow_resnet(**changes)
    inflated = inflate(
        plain, temporal_kernels=ALL_THREE, temporal_strides={}, time_padding="replicate"
    )
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(inflated(repeated(image, 3)), plain(image), atol=1e-4, rtol=1e-4)


def test_pre_activation_and_inception_v1():
    torch.manual_seed(0)
    pre_activation = timm.models.ResNetV2(
        layers=(1, 1),
        channels=(8, 16),
        stem_chs=8,
        num_classes=4,
        conv_layer=timm.layers.create_conv2d,
        norm_layer=timm.layers.BatchNormAct2d,
    )
    inception = googlenet(weights=None, aux_logits=False, init_weights=False, num_classes=4)
    for plain, temporal_strides in (
        (pre_activation, {}),
        (inception, {"conv1": 2, "maxpool3": 2, "maxpool4": 2}),
    ):
        randomize_norms(plain).eval()
        inflated = inflate(
            plain,
            temporal_kernels=ALL_THREE,
            temporal_strides=temporal_strides,
            time_padding="replicate",
        )
        image = torch.randn(1, 3, 64, 64)
        with torch.no_grad():
            found, expected = inflated(repeated(image, 8)), plain(image)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_kernels_and_strides_by_stage():
    plain = narrow_resnet(layers=(1, 2, 1, 1))
    inflated = inflate(
        plain,
        temporal_kernels={"layer1": 3, "layer2": 7, "layer2.0.conv2": 5, "layer3.0.conv1": 3},
        temporal_strides={"maxpool": 2, "layer4": 3},
    )
    kernels = {n: m.kernel_size[0] for n, m in inflated.named_modules() if isinstance(m, nn.Conv3d)}
    wider = {name: kernel for name, kernel in kernels.items() if kernel > 1}
    assert wider == {
        "layer1.0.conv2": 3,
        "layer2.0.conv2": 5,
        "layer2.1.conv2": 7,
        "layer3.0.conv1": 3,
    }
    assert inflated.maxpool.stride == (2, 2, 2)
    assert inflated.layer4[0].conv2.stride == (3, 2, 2)
    assert inflated.layer4[0].downsample[0].stride == (3, 2, 2)
    assert isinstance(plain.conv1, nn.Conv2d)  # the 2D network stays as it was


def test_the_mode_of_each_layer_stays():
    plain = narrow_resnet().train()
    plain.bn1.eval()
    inflated = inflate(plain, temporal_kernels=ALL_THREE, temporal_strides={})
    assert inflated.training
    assert inflated.layer1[0].bn1.training
    assert not inflated.bn1.training
    assert plain.training


def test_contract_and_order():
    settings = {"num_frames": 8, "image_size": 64}
    check_contract(lambda: configured("inflated", **settings), **settings)
    model = configured("inflated", **settings)
    assert permutation_error(model, torch.randn(1, 3, 8, 64, 64)) > 1e-2


def test_images_weights_are_taken_over():
    model = configured("inflated").eval()
    plain = timm.create_model("resnet10t", num_classes=7)
    randomize_norms(plain).eval()
    model.load_image_weights(plain.state_dict())
    torch.testing.assert_close(
        model.cnn.layer1[0].conv1.weight.sum(2), plain.layer1[0].conv1.weight
    )
    with pytest.raises(
        ValueError, match=r"image weights lack .* such as .*; take those of the sam"
    ):
        model.load_image_weights(timm.create_model("resnet18").state_dict())
    with pytest.raises(
        ValueError, match=r"weight w \(2, 3\) does not inflate to \(2, 2, 3, 1, 1\)"
    ):
        inflate_weights(
            {"w": torch.zeros(2, 3)}, {"w": torch.zeros(2, 2, 3, 1, 1)}, initialization="repeat"
        )


def test_wrong_values():
    plain = narrow_resnet()
    for settings, message in (
        ({"temporal_kernels": {"layer1": 4}}, "temporal_kernels say 'layer1': 4; use an odd"),
        ({"temporal_kernels": {"layer9": 3}}, r"'layer9': 3, which no layer heeds .*conv1, bn1"),
        ({"temporal_strides": {"layer1": 2}}, r"temporal_strides say 'layer1': 2, which no layer"),
        ({"initialization": "mean"}, "initialization='mean' must be one of repeat, centre"),
        ({"time_padding": "reflect"}, "time_padding='reflect' must be one of zeros, replicate"),
    ):
        with pytest.raises(ValueError, match=message):
            inflate(plain, **{"temporal_kernels": {}, "temporal_strides": {}, **settings})
    with pytest.raises(ValueError, match="shrink time by 8, which needs clips of 8 frames, not 4"):
        configured("inflated", num_frames=4)
    with pytest.raises(ValueError, match=r"\(B, 3, T, H, W\), not \(1, 8, 3, 32, 32\)"):
        configured("inflated")(torch.zeros(1, 8, 3, 32, 32))
    with pytest.raises(ValueError, match=r"'resnet19' is no model of timm.*resnet18"):
        configured("inflated", backbone="resnet19")


def test_a_network_with_steps_for_images_only_is_refused():
    class Squeeze(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = nn.Conv2d(3, 4, 3, padding=1)

        def forward(self, maps):
            maps = self.convolution(maps)
            return (maps * maps.mean((2, 3), keepdim=True)).mean((-1, -2))

    with pytest.raises(ValueError, match="a Squeeze inflated differs from it on a repeated frame"):
        inflate(Squeeze(), temporal_kernels=ALL_THREE, temporal_strides={})
    transformer = timm.create_model("convnext_atto", num_classes=0)
    with pytest.raises(ValueError, match=r"a ConvNeXt holds steps for images only .* as resnet50"):
        inflate(transformer, temporal_kernels=ALL_THREE, temporal_strides={})
    with pytest.raises(ValueError, match="is a Conv2dSame, not inflated; choose a network"):
        inflate(timm.layers.Conv2dSame(3, 4, 3), temporal_kernels={}, temporal_strides={})


def test_it_builds_on_the_meta_device():
    with torch.device("meta"):
        model = configured("inflated", backbone="resnet18")
    assert isinstance(model, InflatedCNN)
    assert model.classifier.in_features == 512
