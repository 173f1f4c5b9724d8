"""Every YAML file composes, and its keys are the arguments of the class that it builds."""

import inspect

import pytest
import tomllib
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf

from tests.models.contract import configured
from videoclf.build import build, find_target
from videoclf.config import CONF, spelled_out
from videoclf.config_errors import explain, valid_keys
from videoclf.config_from_checkpoint import offer_checkpoint_options
from videoclf.models.blocks.non_local import NonLocalBlock

FILES = sorted(path.relative_to(CONF) for path in CONF.rglob("*.yaml"))
OPTIONS = [file for file in FILES if len(file.parts) > 1 and not file.name.startswith("_")]
#: Groups whose files hold values for several groups, or several nodes, instead of one class.
ONLY_EVALUATED = ("ensemble", "inference")  # groups of evaluate.yaml alone
WITHOUT_TARGET = ("recipe", "experiment", "logger", "sweep")


def composed(*overrides):
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        return OmegaConf.to_container(compose("train", list(overrides)), resolve=False)


def nodes(value, name=""):
    if isinstance(value, dict):
        if "_target_" in value:
            yield name, value
        for key, inner in value.items():
            yield from nodes(inner, f"{name}.{key}".lstrip("."))


#: Sweeps that need a plugin of Hydra's, an extra of ours.
PLUGINS = {
    "sweep/joblib.yaml": "hydra_plugins.hydra_joblib_launcher",
    "sweep/optuna.yaml": "hydra_plugins.hydra_optuna_sweeper",
    "sweep/slurm.yaml": "hydra_plugins.hydra_submitit_launcher",
}


@pytest.mark.parametrize("file", OPTIONS, ids=str)
def test_keys_are_the_arguments_of_the_class(file):
    group = str(file.parent)
    if str(file) in PLUGINS:
        pytest.importorskip(PLUGINS[str(file)], reason=f"{file} needs pip install -e '.[sweeps]'")
    new = "+" if group in ONLY_EVALUATED else ""
    config = composed(f"{new}{group}={file.stem}")
    if group not in WITHOUT_TARGET:
        assert "_target_" in config[group], f"{file} builds nothing"
    for name, node in nodes(config):
        target = find_target(node, name=name)
        arguments = inspect.signature(target).parameters
        keys = set(node) - {"_target_"}
        if target.__module__.startswith("videoclf."):
            expected = set(arguments) - set(getattr(target, "RUNTIME_ARGUMENTS", ()))
            assert keys == expected, f"{name} of {file}"
        else:
            open_ended = any(a.kind is a.VAR_KEYWORD for a in arguments.values())
            assert open_ended or keys <= set(arguments), f"{name} of {file}"


@pytest.mark.parametrize("file", FILES, ids=str)
def test_each_file_opens_with_what_it_is(file):
    text = (CONF / file).read_text(encoding="utf-8")
    assert text.startswith("#"), f"{file} has no comment on top"
    assert isinstance(yaml.safe_load(text), dict)


@pytest.mark.parametrize("file", [f for f in OPTIONS if f.parts[0] in ("recipe", "experiment")])
def test_recipes_open_with_their_command_and_known_result(file):
    if file.stem == "default":
        return
    head = "".join(
        line for line in (CONF / file).read_text(encoding="utf-8").splitlines() if line[:1] == "#"
    )
    assert "python train.py" in head
    assert "Known result:" in head


def test_the_shape_of_a_clip_is_typed_once():
    config = composed("model=slow_fusion")
    assert config["model"]["num_classes"] == "${data.num_classes}"
    assert config["model"]["num_frames"] == "${sampler.num_frames}"


def test_a_chosen_recipe_gives_way_to_an_override():
    assert composed("trainer.max_epochs=3")["trainer"]["max_epochs"] == 3
    assert composed("transform=standard")["transform"]["scale"] == [0.4, 1.0]


def test_directional_data_reach_the_transform():
    config = composed("data=moving_shapes", "transform=standard")
    assert config["data"]["directional"] is True
    assert config["transform"]["directional"] == "${data.directional}"


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("sead=1", "there is no config key 'sead'; did you mean 'seed'?"),
        ("modle=x", "there is no config key 'modle'; did you mean 'model'?"),
        ("model.widhts=[1]", "there is no config key 'model.widhts'; did you mean 'model.widths'?"),
        ("data.bach_size=1", "did you mean 'data.batch_size'?"),
        ("model=slow_fuson", "model=slow_fuson: conf/model has no such option; did you mean"),
        ("data=ucf1O1", "data=ucf1O1: conf/data has no such option; did you mean 'ucf101'?"),
        ("a b=[", "cannot parse 'a b=['"),
        ("logger=null", "logger=null: a run needs one; valid names: csv, tensorboard, wandb"),
        ("model=5", "model=5: conf/model has no such option"),
        (
            "task={api_key: hunter2}",
            "task= takes the name of an option; set its keys one by one: task.<key>=...",
        ),
        (
            "model.drop_path=0.1",
            "there is no config key 'model.drop_path' with this model; it is one of model=mvit",
        ),
        (
            "head.feature_cache=a.sqlite",
            "'head.feature_cache' with this head; it is one of head=attentive, linear",
        ),
    ],
)
def test_a_wrong_override_names_the_nearest(override, sentence):
    assert sentence in explain(ValueError("whatever"), [override], "train")


@pytest.mark.parametrize(
    ("option", "group", "extra"),
    [
        ("optuna", "sweeper", "optuna"),
        ("joblib", "launcher", "joblib"),
        ("submitit_slurm", "launcher", "slurm"),
    ],
)
def test_a_plugin_that_is_not_installed_is_named_with_its_extra(option, group, extra):
    said = explain(
        HydraException(f"In 'hydra/config': Could not find 'hydra/{group}/{option}'\n\nAvailable"),
        ["sweep=some"],
        "train",
    )
    assert said == f"{option}, a plugin of Hydra's, is not installed; pip install -e '.[{extra}]'"
    read = tomllib.loads((CONF.parent / "pyproject.toml").read_text())
    assert extra in read["project"]["optional-dependencies"]


def test_groups_that_may_be_null_are_not_taken_for_the_mistake():
    said = explain(ValueError("whatever"), ["multigrid=null", "head=null", "sead=1"], "train")
    assert "no config key 'sead'" in said


def test_keys_of_the_chosen_option_are_valid():
    keys = valid_keys("train", ["model=single_frame"])
    assert "model.backbone" in keys
    assert "model.widths" not in keys


def test_a_sweep_of_non_local_blocks_names_models_that_can_be_built():
    file = yaml.safe_load((CONF / "sweep" / "non_local.yaml").read_text(encoding="utf-8"))
    ((key, values),) = file["hydra"]["sweeper"]["params"].items()
    override = OverridesParser.create().parse_override(f"{key}={values}")
    choices = list(override.sweep_string_iterator())
    assert len(choices) == 7
    blocks = []
    for choice in choices:
        config = composed("sweep=non_local", f"{key}={choice}")
        places = config["model"]["non_local_places"]
        model = configured("resnet_3d_small", non_local_places=places)
        blocks.append(sum(isinstance(m, NonLocalBlock) for m in model.modules()))
        assert config["model"]["_target_"].endswith("ResNet3D")
    assert blocks == [0, 1, 1, 1, 1, 2, 4]


@pytest.mark.parametrize(
    ("preset", "name"),
    [
        ("default", "3x1"),
        ("kinetics_slowfast", "10x3@256_without_end"),
        ("kinetics_videomae", "5x3@224_ends"),
        ("something_something", "2x3@224_without_end"),
        ("charades", "10x3@256_without_end_max"),
        ("diving48", "1x3@224"),
        ("epic_kitchens", "10x1@256_without_end"),
        ("tsn", "25x10@224_centres_logits"),
    ],
)
@pytest.mark.parametrize("script", ["train", "evaluate"])
def test_presets_of_the_literature(preset, name, script):
    offer_checkpoint_options(["evaluate.py", "--help"])  # the option `checkpoint` of each group
    settled = [f"{group}=checkpoint" for group in ("sampler", "transform", "model")]
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        config = compose(script, [f"views={preset}", *(settled if script == "evaluate" else ())])
    assert build(OmegaConf.to_container(config.views), name="views").name == name


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("run_dir=1234567", "run_dir='1234567'"),
        ("run_dir=2026_11", "run_dir='2026_11'"),
        ("name=1e3", "name='1e3'"),
        ("resume=5", "resume='5'"),
        ("run_dir=runs/5", "run_dir=runs/5"),
        ("name=1,2", "name=1,2"),  # of a sweep
        ("seed=5", "seed=5"),
        ("model.weights=file:a.pt", "weights=file:a.pt"),
        ("+model.weights_allow_unmatched=true", "+weights_allow_unmatched=true"),
    ],
)
def test_folders_and_names_are_text_whatever_they_look_like(typed, read):
    assert spelled_out([typed]) == [read]


def test_a_sweep_may_be_asked_for_anywhere_on_the_line():
    assert spelled_out(["train.py", "a=1", "-m", "seed=1,2"]) == [
        "train.py",
        "-m",
        "a=1",
        "seed=1,2",
    ]
    assert spelled_out(["train.py", "a=1"]) == ["train.py", "a=1"]
