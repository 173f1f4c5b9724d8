"""What every model keeps, and how tests build one from its YAML, count it and shuffle its clips."""

import inspect
from pathlib import Path

import torch
import yaml
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from videoclf.build import build

CONF = Path(__file__).parents[2] / "conf" / "model"


def configured(name, *, num_classes=5, num_frames=8, image_size=32, seed=0, **changes):
    """Build conf/model/<name>.yaml for clips of a shape, some of its values changed."""
    typed = {
        "${data.num_classes}": num_classes,
        "${sampler.num_frames}": num_frames,
        "${transform.crop_pixels}": image_size,
    }

    def resolve(value):
        if isinstance(value, list):
            return [resolve(inner) for inner in value]
        return typed.get(value, value) if isinstance(value, str) else value

    node = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))
    torch.manual_seed(seed)
    return build({key: resolve(value) for key, value in {**node, **changes}.items()}, name="model")


def count(module):
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def giga_macs(model, num_frames, image_size):
    """Return the multiply-accumulates of one clip, in 10^9; the model lives on the meta device."""
    clip = torch.zeros(1, 3, num_frames, image_size, image_size, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(clip)
    return counter.get_total_flops() / 2e9


def randomize_norms(network, seed=0):
    """Give batch norms statistics and scales as after training, so that none is the identity."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d)):
            module.running_mean.normal_(0, 0.2, generator=generator)
            module.running_var.uniform_(0.7, 1.4, generator=generator)
            nn.init.uniform_(module.weight, 0.8, 1.2, generator=generator)
            nn.init.normal_(module.bias, 0, 0.1, generator=generator)
    return network


def permutation_error(model, rgb):
    """Return how much shuffling a clip's frames changes the logits, as a share of the largest."""
    order = torch.tensor([3, 0, 5, 1, 4, 2, *range(6, rgb.shape[2])])
    model = randomize_norms(model).eval()
    with torch.no_grad():
        before, after = model(rgb), model(rgb[:, :, order])
    return float((after - before).abs().max() / before.abs().max())


def check_contract(build_model, *, num_classes=5, num_frames=8, image_size=32, idle=()):
    """Hold a model against the contract.

    Keyword-only arguments without defaults; logits (B, K), or (B, S, K) where a model speaks S
    times a clip; a linear `classifier` above `features` (B, D), which are the mean over S; a
    gradient, finite and not zero, for every parameter, but the `idle` ones that nothing reads.
    """
    model = randomize_norms(build_model())  # a last norm may start at 0 and hold gradients back
    arguments = inspect.signature(type(model)).parameters.values()
    assert all(argument.kind is argument.KEYWORD_ONLY for argument in arguments)
    assert all(argument.default is argument.empty for argument in arguments)

    torch.manual_seed(1)
    rgb = torch.randn(2, 3, num_frames, image_size, image_size)
    logits = model.train()(rgb)
    if logits.ndim == 3:
        logits = logits.mean(1)
    assert logits.shape == (2, num_classes)
    nn.functional.cross_entropy(logits, torch.tensor([0, 1])).backward()
    without = [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.isfinite().all() or not parameter.grad.any()
    ]
    assert without == list(idle), f"no gradient for {without}"

    assert isinstance(model.classifier, nn.Linear)
    with torch.no_grad():
        features = model.eval().features(rgb)
        assert features.shape == (2, model.classifier.in_features)
        logits = model(rgb)
        expected = logits.mean(1) if logits.ndim == 3 else logits
        torch.testing.assert_close(model.classifier(features), expected)
    return model
