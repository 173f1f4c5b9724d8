from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from pytorch_lightning import Trainer

from videoclf.build import build
from videoclf.errors import ConfigError
from videoclf.value_types import Count, check_values, show

LIST = "must be a list of whole numbers"


class Layer:
    """An object that a config names by _target_."""


class Model:
    def __init__(
        self,
        *,
        width: int = 1,
        rate: float = 0.1,
        frozen: bool = False,
        root: str | None = None,
        file: Path = Path(),
        kind: Literal["mean", "max"] | None = None,
        widths: Sequence[int] = (),
        counts: tuple[Count, ...] = (),
        aspect: tuple[float, float] = (1, 1),
        strides: Mapping[str, int] | None = None,
        layer: Layer | None = None,
        device: str | list[int] = "auto",
        switch: bool | Literal["warn"] = False,
        anything: Any = None,
        not_known_here: "torch.Tensor | None" = None,  # noqa: F821
    ) -> None: ...


@dataclass(kw_only=True)
class Settings:
    patience: int | None


@pytest.mark.parametrize(
    ("key", "value", "must"),
    [
        ("width", "abc", "model.width=abc must be a whole number"),
        ("width", 1.5, "model.width=1.5 must be a whole number"),
        ("width", True, "model.width=true must be a whole number"),
        ("width", None, "model.width=null must be a whole number"),
        ("rate", "fast", "model.rate=fast must be a number"),
        ("rate", float("nan"), "model.rate=nan must be a number"),
        ("rate", False, "model.rate=false must be a number"),
        ("frozen", "maybe", "model.frozen=maybe must be true or false"),
        ("frozen", 1, "model.frozen=1 must be true or false"),
        ("root", 2024, """model.root=2024 must be text or null; quote it: "model.root='2024'\""""),
        ("file", ["a"], r"model.file=\[a\] must be a path"),
        ("kind", "median", "model.kind=median must be mean, max or null"),
        ("widths", 4, f"model.widths=4 {LIST}"),
        ("widths", "48", f"model.widths=48 {LIST}"),
        ("widths", [4, "x"], rf"model.widths=\[4,x\] {LIST}"),
        ("counts", [0, 8], rf"model.counts=\[0,8\] {LIST} from 1"),
        ("aspect", [1.0], r"model.aspect=\[1.0\] must be a list of 2: a number, a number"),
        (
            "strides",
            {"conv": "x"},
            "model.strides={conv: x} must be a mapping of keys to values or null",
        ),
        ("strides", 5, "model.strides=5 must be a mapping of keys to values or null"),
        ("layer", "conv", "model.layer=conv must be a Layer, a node with _target_ or null"),
        ("device", [0, "x"], r"model.device=\[0,x\] must be text or a list of whole numbers"),
        ("switch", "perhaps", "model.switch=perhaps must be true, false or warn"),
    ],
)
def test_wrong_values_are_named_with_what_they_must_be(key, value, must):
    with pytest.raises(ConfigError, match=f"^{must}$"):
        check_values(Model, {key: value}, name="model")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("width", -3),
        ("rate", 2),
        ("rate", float("inf")),
        ("root", None),
        ("root", "2024"),
        ("file", "a/b"),
        ("kind", None),
        ("widths", []),
        ("widths", (1, 2)),
        ("counts", [1]),
        ("aspect", (0.5, 2)),
        ("strides", {"conv": 2}),
        ("layer", Layer()),
        ("device", [0, 1]),
        ("switch", "warn"),
        ("anything", object()),
        ("not_known_here", 5),
        ("no_such_key", 5),
    ],
)
def test_right_values_and_those_that_nobody_can_judge(key, value):
    check_values(Model, {key: value}, name="model")


def test_at_the_top_of_a_config_keys_stand_alone_and_dataclasses_are_known():
    with pytest.raises(ConfigError, match="^patience=x must be a whole number or null$"):
        check_values(Settings, {"patience": "x"})


def test_other_people_s_constructors_are_known_too():
    with pytest.raises(ConfigError, match="^trainer.max_epochs=two must be a whole number or null"):
        check_values(Trainer, {"max_epochs": "two"}, name="trainer")


def test_what_is_built_is_held_against_its_annotations():
    node = {"_target_": "videoclf.models.slow_fusion.SlowFusion", "num_classes": 3}
    node |= {"num_frames": 4, "widths": [0, 8], "temporal_strides": [1, 2]}
    node |= {"convs_per_stage": 1, "dropout": 0.5}
    with pytest.raises(ConfigError, match=r"^model.widths=\[0,8\] must be a list of whole numbers"):
        build(node, name="model")


def test_values_are_shown_as_they_are_typed():
    assert show({"a": [1, None, True], "b": "x y"}) == "{a: [1,null,true],b: x y}"
