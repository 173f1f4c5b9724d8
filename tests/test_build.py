import pytest
from torch import nn

from videoclf.build import build, check_arguments, nearest
from videoclf.errors import ConfigError
from videoclf.evaluation.views import Views


class Tokens(nn.Module):
    """A backbone for a probe."""

    def __init__(self):
        super().__init__()
        self.classifier = nn.Linear(8, 3)

    def tokens(self, rgb):
        raise NotImplementedError

    def forward(self, rgb):
        raise NotImplementedError


VIEWS = {"_target_": "videoclf.evaluation.views.Views", "num_clips": 2, "num_crops": 1}


def test_a_node_becomes_an_object_with_runtime_arguments():
    assert build(VIEWS, name="views", average="logits") == Views(
        num_clips=2, num_crops=1, average="logits"
    )


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "builtins.exec",
        "subprocess.Popen",
        "subprocess.check_output",
        "torch.load",
        "torch.hub.load",
        "torch.utils.collect_env.run",
        "pickle.loads",
        "importlib.import_module",
        "shutil.rmtree",
        "hydra.utils.instantiate",
        "hydra.utils.get_method",
        "pytorch_lightning.Trainer.fit",
        "pytorch_lightning.loggers.CSVLogger",
        "videoclf.launch.subprocess.Popen",
        "videoclf.cache.os.system",
        "videoclf.models.single_frame.timm.create_model",
        "videoclf.models.single_frame.torch.load",
        "videoclf.models.single_frame.timm",
        "videoclf.modelsevil.Thing",
        "videoclf",
    ],
)
def test_nothing_off_the_list_is_built(target, tmp_path):
    canary = tmp_path / "canary"
    with pytest.raises(ConfigError):
        build({"_target_": target, "command": f"touch {canary}"}, name="model")
    assert not canary.exists()


def test_a_target_inside_a_list_is_held_to_the_same_list():
    node = {**VIEWS, "average": [{"_target_": "os.system", "command": "true"}]}
    with pytest.raises(ConfigError, match=r"views.average\[0\]._target_=os.system is not on"):
        build(node, name="views")


def test_packages_of_the_user_are_built_once_trusted(tmp_path, monkeypatch):
    (tmp_path / "my_package.py").write_text("class Model:\n    def __init__(self, *, width): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    node = {"_target_": "my_package.Model", "width": 3}
    with pytest.raises(ConfigError, match=r"say trusted_packages=\[its_package\]"):
        build(node, name="model")
    assert build(node, name="model", trusted_packages=["my_package"])


def test_a_wrong_key_names_the_nearest():
    with pytest.raises(ConfigError, match="views has no key 'num_clip'; did you mean 'num_clips'?"):
        build({**VIEWS, "num_clip": 3}, name="views", average="logits")


def test_a_missing_key_is_named():
    with pytest.raises(ConfigError, match="views lacks average; set views.average=..."):
        build(VIEWS, name="views")


def test_what_torch_refuses_is_said_with_its_place():
    node = {"_target_": "videoclf.models.probes.AttentiveProbe", "num_classes": 3}
    node |= {"num_heads": 2, "mlp_ratio": -1.0, "feature_cache": None}
    with pytest.raises(ConfigError, match="^head: Trying to create tensor with negative dimension"):
        build(node, name="head", backbone=Tokens())


def test_a_value_that_the_constructor_refuses():
    with pytest.raises(ConfigError, match="views: views.num_clips=0 must be at least 1"):
        build({**VIEWS, "num_clips": 0}, name="views", average="logits")


def test_a_wrong_class_or_module_is_named():
    with pytest.raises(ConfigError, match="defines no class 'View'; did you mean 'Views'?"):
        build({"_target_": "videoclf.evaluation.views.View"}, name="views")
    with pytest.raises(ConfigError, match="no module 'videoclf.models.x' is installed"):
        build({"_target_": "videoclf.models.x.Y"}, name="model")
    with pytest.raises(ConfigError, match="model has no _target_"):
        build({}, name="model")


def test_nearest_lists_the_valid_names_where_none_is_near():
    assert nearest("xyz", ["b", "a"]) == "; valid names: a, b"
    assert nearest("xyz", []) == ""


def test_arguments_of_an_open_ended_constructor_pass():
    def open_ended(**anything): ...

    check_arguments(open_ended, ["anything"], name="x")
