import pytest
import torch
from torch import nn

from tests.models.contract import configured
from videoclf.errors import ConfigError
from videoclf.optimizers import SGD, AdamW, parameter_groups, warmup_cosine

SCHEDULE = {"learning_rate": 0.1, "weight_decay": 0.01, "warmup_fraction": 0.1}
SCHEDULE |= {"final_fraction": 0.0, "head_learning_rate_factor": 1.0, "layer_decay": 1.0}


def network():
    return nn.Sequential(nn.Conv3d(3, 4, 3), nn.BatchNorm3d(4), nn.Flatten(), nn.Linear(4, 2))


def groups_of(model, head_learning_rate_factor=1.0, layer_decay=1.0):
    return parameter_groups(
        model,
        learning_rate=0.1,
        weight_decay=0.01,
        head_learning_rate_factor=head_learning_rate_factor,
        layer_decay=layer_decay,
    )


def test_norms_and_biases_do_not_decay():
    decayed, others = groups_of(network())
    assert [p.ndim for p in decayed["params"]] == [5, 2]
    assert [p.ndim for p in others["params"]] == [1, 1, 1, 1]
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.01, 0.0)


def test_frozen_parameters_are_left_out():
    model = network().requires_grad_(False)
    model[3].requires_grad_(True)
    groups = groups_of(model)
    assert sum(p.numel() for group in groups for p in group["params"]) == 4 * 2 + 2


def test_the_class_head_has_a_rate_of_its_own():
    model = configured("slow_fusion")
    groups = groups_of(model, head_learning_rate_factor=10.0)
    assert [group["lr"] for group in groups] == pytest.approx([0.1, 0.1, 1.0, 1.0])
    assert [group["weight_decay"] for group in groups] == [0.01, 0.0, 0.01, 0.0]
    assert groups[2]["params"][0] is model.classifier.weight
    assert groups[3]["params"][0] is model.classifier.bias
    everything = [id(p) for group in groups for p in group["params"]]
    assert sorted(everything) == sorted(id(p) for p in model.parameters())
    with pytest.raises(ConfigError, match=r"head_learning_rate_factor=2.0: Sequential has no lin"):
        groups_of(network(), head_learning_rate_factor=2.0)


def rates_of(model, **settings):
    """The rate of each parameter by its name, and the names of those that decay."""
    groups = groups_of(model, **settings)
    rate = {id(p): group["lr"] for group in groups for p in group["params"]}
    decaying = {id(p) for group in groups if group["weight_decay"] for p in group["params"]}
    named = dict(model.named_parameters())
    return (
        {name: rate[id(p)] for name, p in named.items()},
        {name for name, p in named.items() if id(p) in decaying},
    )


def test_rates_decay_from_the_class_head_to_the_input():
    """Four blocks and 0.5: head and norm 0.1, blocks 0.05 0.025 0.0125 0.00625, input 0.003125."""
    rates, _ = rates_of(configured("timesformer_small"), layer_decay=0.5)
    expected = {
        "classifier.weight": 0.1,
        "norm.bias": 0.1,
        "blocks.3.mlp.fc2.weight": 0.05,
        "blocks.2.temporal_fc.bias": 0.025,
        "blocks.1.attn.qkv.weight": 0.0125,
        "blocks.0.norm1.weight": 0.00625,
        "patch_embed.weight": 0.003125,
        "cls_token": 0.003125,
        "pos_embed": 0.003125,
        "time_embed": 0.003125,
    }
    assert {name: rates[name] for name in expected} == pytest.approx(expected)
    assert len(set(rates.values())) == 6
    rates, _ = rates_of(
        configured("timesformer_small"), layer_decay=0.5, head_learning_rate_factor=4.0
    )
    expected |= {"classifier.weight": 0.4}
    assert {name: rates[name] for name in expected} == pytest.approx(expected)


def test_what_stands_between_blocks_has_the_rate_of_the_one_before():
    """ViViT has 4 blocks over space, a norm, 2 blocks over time; a 3D ResNet shortcuts inside."""
    rates, _ = rates_of(configured("vivit_small"), layer_decay=0.5)
    found = [rates[f"{name}.weight"] for name in ("norm", "blocks.3.norm1", "temporal_norm")]
    assert found == pytest.approx([0.1 / 8, 0.1 / 8, 0.1])
    rates, _ = rates_of(configured("r3d_18", widths=[4, 4, 8, 8]), layer_decay=0.9)
    assert rates["stem.conv.weight"] == pytest.approx(0.1 * 0.9**9)
    assert rates["stages.3.1.conv2.weight"] == pytest.approx(0.1 * 0.9)


@pytest.mark.parametrize("name", ["timesformer_small", "vivit_small"])
def test_positions_and_tokens_do_not_decay(name):
    _, decaying = rates_of(configured(name))
    assert all(each.endswith("weight") for each in decaying)
    assert not {"pos_embed", "cls_token", "time_embed", "norm.weight"} & decaying


def test_decay_needs_a_model_that_lists_its_blocks():
    message = (
        r"optimizer.layer_decay=0.75: SlowFusion has no method `layers`, which lists its blocks "
        r"from input to output; give it one, or set optimizer.layer_decay=1.0"
    )
    with pytest.raises(ConfigError, match=message):
        groups_of(configured("slow_fusion"), layer_decay=0.75)
    with pytest.raises(ConfigError, match="S3D has no method `layers`"):
        groups_of(configured("s3d"), layer_decay=0.75)


def test_the_first_group_has_the_rate_that_is_logged():
    assert groups_of(configured("timesformer_small"), layer_decay=0.5)[0]["lr"] == 0.1


def test_warmup_and_cosine_scale_both_rates_alike():
    model = configured("slow_fusion")
    factory = AdamW(**{**SCHEDULE, "head_learning_rate_factor": 10.0}, betas=(0.9, 0.99))
    optimizer, schedule = factory(model, 20)
    for _ in range(20):
        backbone, *_, head = (group["lr"] for group in optimizer.param_groups)
        assert head == pytest.approx(10 * backbone)
        optimizer.step()
        schedule.step()


def test_the_schedule_warms_up_and_follows_half_a_cosine():
    def factor(step):
        return warmup_cosine(step, total_steps=100, warmup_fraction=0.1, final_fraction=0.0)

    assert factor(0) == pytest.approx(0.1)
    assert factor(9) == pytest.approx(1.0)
    assert factor(54) == pytest.approx(0.5, abs=1e-9)
    assert factor(99) == pytest.approx(0.0)
    assert factor(500) == pytest.approx(0.0)


def test_no_warmup_and_a_final_fraction():
    values = [
        warmup_cosine(step, total_steps=10, warmup_fraction=0.0, final_fraction=0.1)
        for step in range(10)
    ]
    assert values == sorted(values, reverse=True)
    assert values[-1] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("factory", "cls"),
    [
        (AdamW(**SCHEDULE, betas=(0.9, 0.99)), torch.optim.AdamW),
        (SGD(**SCHEDULE, momentum=0.9, nesterov=True), torch.optim.SGD),
    ],
)
def test_factories_build_the_optimiser_and_step_its_rate(factory, cls):
    optimizer, schedule = factory(network(), 20)
    assert isinstance(optimizer, cls)
    rates = []
    for _ in range(20):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[:3] == pytest.approx([0.05, 0.1, 0.1], abs=1e-3)
    assert rates[-1] == pytest.approx(0.0, abs=1e-3)


def test_wrong_betas_are_refused():
    with pytest.raises(ValueError, match=r"optimizer.betas=\[0.9, 1.5\] must be in \[0, 1\)"):
        AdamW(**SCHEDULE, betas=(0.9, 1.5))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("learning_rate", 0),
        ("weight_decay", -1),
        ("warmup_fraction", 1),
        ("final_fraction", 2),
        ("head_learning_rate_factor", 0),
        ("layer_decay", 0),
        ("layer_decay", 1.1),
    ],
)
def test_wrong_values_are_refused(key, value):
    with pytest.raises(ValueError, match=f"optimizer.{key}={value} must be"):
        AdamW(**{**SCHEDULE, key: value}, betas=(0.9, 0.99))
