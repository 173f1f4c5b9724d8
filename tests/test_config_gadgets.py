"""Configs that try to run code: as overrides, in a checkpoint, in a run folder. None does."""

import importlib
import shutil
import sys

import pytest
import yaml

import train as train_script
import videoclf
from tests.gadgets import misleading, runnable
from tests.poison import altered
from tests.test_bad_input import in_process
from videoclf.build import build
from videoclf.cli.composing import compose_train
from videoclf.cli.trained import compose_checkpoint
from videoclf.config import literal, plain
from videoclf.config_from_checkpoint import GROUPS
from videoclf.errors import ConfigError
from videoclf.resume import resume

VIEWS = {
    "_target_": "videoclf.evaluation.views.Views",
    "average": "probabilities",
    "num_clips": 2,
    "num_crops": 1,
}


@pytest.fixture
def gadgets(tmp_path, monkeypatch):
    """All gadgets by name; their modules and files are at hand."""
    monkeypatch.syspath_prepend(tmp_path)
    run = {name: {"_target_": name, **arguments} for name, arguments in runnable(tmp_path).items()}
    yield {**run, **misleading(VIEWS, tmp_path)}
    sys.modules.pop("evil_on_import", None)


@pytest.fixture
def nothing_ran(tmp_path):
    """Afterwards there is no canary."""
    yield
    assert not (tmp_path / "canary").exists()
    assert "evil_on_import" not in sys.modules


def called(node):
    """Do what a naive registry does: import whatever is named, and call it."""
    if isinstance(node, list):
        return [called(each) for each in node]
    if not isinstance(node, dict) or "_target_" not in node:
        return node
    path, found, rest = node["_target_"], None, []
    while found is None:
        try:
            found = importlib.import_module(path)
        except ModuleNotFoundError:
            path, _, last = path.rpartition(".")
            rest.insert(0, last)
    for name in rest:
        found = getattr(found, name)
    keys = {key: called(value) for key, value in node.items() if key[0] != "_"}
    return found(*called(node.get("_args_", [])), **keys)


#: These need more than a call to do harm, or do it to whoever calls them.
UNTRIED = ("hydra.", "functools.partial", "logging.config.dictConfig")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_gadgets_are_live(gadgets, tmp_path):
    """Most of them, called as they stand, do leave the canary: the other tests can fail."""
    live = [name for name in runnable(tmp_path) if not name.startswith(UNTRIED)]
    for name in live:
        sys.modules.pop("evil_on_import", None)
        (tmp_path / "canary").unlink(missing_ok=True)
        started = called(gadgets[name])
        if hasattr(started, "wait"):
            started.wait()
        if hasattr(started, "close"):
            started.close()
        assert (tmp_path / "canary").exists(), name
    assert len(live) >= 25


@pytest.mark.usefixtures("nothing_ran")
def test_none_is_built(gadgets):
    assert len(gadgets) >= 50
    for name, node in gadgets.items():
        with pytest.raises(ConfigError):
            build(node, name=name)
        with pytest.raises(ConfigError):
            build(node, name=name, trusted_packages=["my_package"])
        with pytest.raises(ConfigError):
            build({**VIEWS, "average": [{"inside": node}]}, name=name)


@pytest.mark.usefixtures("nothing_ran")
def test_none_is_built_from_overrides(gadgets):
    config = compose_train(["+model.more=null"], model__more=literal(gadgets))
    nodes = plain(config)["model"]["more"]
    assert nodes == gadgets
    for name, node in nodes.items():
        with pytest.raises(ConfigError):
            build(node, name=name)


@pytest.mark.usefixtures("nothing_ran")
def test_none_is_built_from_a_checkpoint(gadgets, trained_run, tmp_path):
    best, path = trained_run / "checkpoints" / "best.ckpt", tmp_path / "x.ckpt"
    groups = [group for group in GROUPS if group != "head"]  # it has none

    def add(said):
        for group in groups:
            said["config"][group]["more"] = gadgets

    settings = plain(compose_checkpoint(altered(best, path, add), []))
    for group in groups:
        assert settings[group]["more"] == gadgets
        for name, node in settings[group]["more"].items():
            with pytest.raises(ConfigError):
                build(node, name=f"{group}.{name}", trusted_packages=settings["trusted_packages"])
    node = gadgets["torch.utils.collect_env.run"]
    altered(best, path, lambda said: said["config"].update(model=node))
    with pytest.raises(ConfigError, match="model._target_=torch.utils.collect_env.run is not on"):
        videoclf.load(path)


@pytest.mark.usefixtures("nothing_ran")
def test_a_checkpoint_does_not_say_whom_to_trust(trained_run, tmp_path, gadgets):
    node = gadgets["evil_on_import.Model"]
    path = altered(
        trained_run / "checkpoints" / "best.ckpt",
        tmp_path / "x.ckpt",
        lambda said: said["config"].update(model=node, trusted_packages=["evil_on_import"]),
    )
    with pytest.raises(ConfigError, match="evil_on_import.Model is not on the list"):
        videoclf.load(path)


@pytest.mark.parametrize(
    "secret",
    ["${oc.env:SOME_TOKEN}", "${oc.decode:${oc.env:SOME_TOKEN}}", "a${oc.env:SOME_TOKEN}\\"],
)
def test_nothing_in_a_checkpoint_is_looked_up(secret, trained_run, tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_TOKEN", "canary-4711")

    def change(said):
        said["classes"][0] = secret
        said["config"]["name"] = f"../../{secret}"
        said["config"]["data"]["root"] = secret
        said["config"]["data"]["class_names"] = [secret]
        said["config"]["sampler"]["more"] = [{"deep": secret}]

    path = altered(trained_run / "checkpoints" / "best.ckpt", tmp_path / "x.ckpt", change)
    settings = plain(compose_checkpoint(path, []))
    assert "canary-4711" not in str(settings)
    assert settings["data"]["root"] == secret
    assert settings["sampler"]["more"] == [{"deep": secret}]
    assert settings["data"]["class_names"][0] == secret
    assert "/" not in settings["name"]


@pytest.fixture
def train(monkeypatch, capfd, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: in_process(
        train_script, *arguments, monkeypatch=monkeypatch, capfd=capfd
    )


@pytest.mark.usefixtures("nothing_ran", "gadgets")
@pytest.mark.parametrize(
    "override",
    [
        "data._target_=os.system",
        "+data.more={_target_:subprocess.Popen,args:[touch,canary]}",
        "data._target_=evil_on_import.Model",
        "hydra.run.dir=${oc.create:os.system}",
    ],
)
def test_overrides_are_refused_before_anything_starts(override, train):
    code, said = train(override)
    assert code == 2, said


@pytest.fixture
def unfinished(trained_run, tmp_path):
    folder = shutil.copytree(trained_run, tmp_path / "run")
    (folder / "results.json").unlink()
    return folder


def edit(folder, **changes):
    config = yaml.safe_load((folder / "config.yaml").read_text())
    for group, values in changes.items():
        config[group] = {**config[group], **values} if isinstance(values, dict) else values
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


@pytest.mark.usefixtures("nothing_ran")
def test_a_run_folder_is_data_too(unfinished, gadgets):
    for name in ("os.system", "torch.load", "inside lists and a mapping", "evil_on_import.Model"):
        edit(unfinished, data=gadgets[name])
        with pytest.raises(ConfigError):
            resume(unfinished, {}, began=0.0)


@pytest.mark.usefixtures("nothing_ran", "gadgets")
def test_a_run_folder_does_not_say_whom_to_trust(unfinished, train):
    edit(unfinished, trusted_packages=["evil_on_import"], data={"_target_": "evil_on_import.Model"})
    code, said = train(f"resume={unfinished}")
    assert (code, "give that again beside resume" in said) == (2, True), said
    code, said = train(f"resume={unfinished}", "trusted_packages=[other]")
    assert (code, "give that again beside resume" in said) == (2, True), said


@pytest.mark.usefixtures("nothing_ran")
def test_a_run_folder_with_objects_in_its_yaml(unfinished, train, tmp_path):
    with (unfinished / "config.yaml").open("a") as file:
        file.write(f"more: !!python/object/apply:os.system ['touch {tmp_path / 'canary'}']\n")
    code, said = train(f"resume={unfinished}")
    assert (code, "cannot read" in said) == (2, True), said


def test_a_package_is_trusted_for_itself_only(tmp_path, monkeypatch):
    for name in ("my_pkg", "my_pkg_evil"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "models.py").write_text("class Model: ...\n")
        (tmp_path / name / "__init__.py").write_text(
            "import subprocess\nfrom subprocess import Popen\nfrom .models import Model\n"
        )
    monkeypatch.syspath_prepend(tmp_path)
    trusted = ["my_pkg"]
    for target in ("my_pkg.Model", "my_pkg.models.Model"):
        assert type(build({"_target_": target}, name="model", trusted_packages=trusted)).__name__
    for target in ("my_pkg.Popen", "my_pkg.subprocess.Popen", "my_pkg_evil.Model", "os.system"):
        with pytest.raises(ConfigError):
            build({"_target_": target, "args": "x"}, name="model", trusted_packages=trusted)
    assert "my_pkg_evil" not in sys.modules
    with pytest.raises(ConfigError, match=r"must be a list; say \[my_pkg\]"):
        build({"_target_": "my_pkg.Model"}, name="model", trusted_packages="my_pkg")
