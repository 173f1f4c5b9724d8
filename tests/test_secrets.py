"""Keys and tokens, given by the environment or as overrides, stay out of all that a run leaves."""

import os

import pytest
import yaml

import train as train_script
from tests.conftest import PROJECT, run_script, train_tiny
from tests.test_bad_input import in_process
from videoclf import checkpoint_file, secrets
from videoclf.errors import ConfigError
from videoclf.reports.redaction import HIDDEN, redact
from videoclf.resume import resume

SECRETS = {
    "typed": "canary-key-4711-typed",
    "WANDB_API_KEY": "canary" * 6 + "wandb",
    "SOME_TOKEN": "canary-token-4711-looked-up",
    "login": "canary-login-4711",
}


def test_a_config_goes_to_the_ranks_whole(monkeypatch):
    config = {"model": {"api_key": "abc", "width": 3}, "urls": ["https://me:word@host/x"]}
    found = secrets.find_secrets(config)
    assert found == {("model", "api_key"): "abc", ("urls", 0): "https://me:word@host/x"}
    for name, text in secrets.as_variables(found).items():
        monkeypatch.setenv(name, text)
    assert secrets.reveal(redact(config)) == config
    assert secrets.VARIABLE not in os.environ
    with pytest.raises(ConfigError, match=r"model.api_key is hidden in config.yaml; give it as"):
        secrets.reveal(redact(config))


def test_values_of_the_environment_are_hidden_wherever_they_stand(monkeypatch, tmp_path):
    monkeypatch.setenv("MY_TOKEN", "canary-4711")
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path))
    monkeypatch.setenv("LONG_TOKEN", "canary" * 1000)
    (tmp_path / "canary-4711").mkdir()
    assert redact(str(tmp_path / "canary-4711")) == str(tmp_path / "canary-4711")
    assert redact(["canary" * 1000, "/none/canary-4711"]) == [HIDDEN, f"/none/{HIDDEN}"]
    assert redact({"name": "run canary-4711 x"}) == {"name": f"run {HIDDEN} x"}
    assert redact(str(tmp_path / "x")) == str(tmp_path / "x")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that was given secrets in every way there is; with what it has said."""
    folder = tmp_path_factory.mktemp("secret") / "run"
    service = f"https://me:{SECRETS['login']}@host/x"
    finished = train_tiny(
        folder,
        "logger=wandb",
        "task._target_=tests.recording.KeyedClassification",
        "trusted_packages=[tests]",
        f"+task.api_key={SECRETS['typed']}",
        f"+task.service='{service}'",
        f"+task.lengths=[{len(SECRETS['typed'])},{len(service)}]",
        "name='run ${oc.env:SOME_TOKEN}'",
        environment={
            **{name: value for name, value in SECRETS.items() if name.isupper()},
            "PYTHONPATH": f"{PROJECT}:{os.environ.get('PYTHONPATH', '')}",
        },
    )
    assert finished.returncode == 0, finished.stderr
    return folder, finished


def test_no_file_and_no_line_of_a_run_holds_one(run):
    folder, finished = run
    files = [path for path in folder.rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert {"config.yaml", "results.json", "report.html", "best.ckpt", "last.ckpt"} <= names
    assert any(path.suffix == ".wandb" for path in files)
    for name, value in SECRETS.items():
        for path in files:
            assert value not in str(path)
            assert value.encode() not in path.read_bytes(), f"{name} in {path}"
        assert value not in finished.stdout + finished.stderr
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["task"]["api_key"] == HIDDEN
    assert checkpoint_file.describe(folder / "checkpoints" / "last.ckpt")["config"]["name"] == (
        f"run {HIDDEN}"
    )


def test_a_run_goes_on_once_its_secrets_are_given_again(run):
    folder, _ = run
    (folder / "results.json").rename(folder / "kept.json")
    try:
        with pytest.raises(ConfigError, match="is hidden in the run's config.yaml; give it again"):
            resume(folder, {"trusted_packages": ["tests"]}, began=0.0)
    finally:
        (folder / "kept.json").rename(folder / "results.json")


@pytest.mark.parametrize("wrong", ["logger.api_key={}", "logger.api_key=[{}"])
def test_a_wrong_override_does_not_repeat_its_secret(wrong, monkeypatch, capfd):
    wrong = wrong.format(SECRETS["typed"])
    code, said = in_process(train_script, wrong, monkeypatch=monkeypatch, capfd=capfd)
    assert code == 2
    assert SECRETS["typed"] not in said


def test_a_failed_run_does_not_repeat_it_either(tmp_path):
    ended = train_tiny(tmp_path / "run", f"+model.api_key={SECRETS['typed']}", "data.reader=none")
    assert ended.returncode == 2, ended.stderr
    assert SECRETS["typed"] not in ended.stderr + ended.stdout


@pytest.mark.parametrize(
    "override", ["+task.api_key={},other", "+extra={{api_key: {}}}", "+task.at=http://me:{}@host"]
)
def test_a_sweep_leaves_no_record_that_shows_one(tmp_path, override):
    secret = SECRETS["typed"]
    words = ("-m", "seed=1,2", override.format(secret), "data.reader=none")
    ended = run_script("train.py", *words, cwd=tmp_path)
    assert ended.returncode == 2, ended.stderr
    assert secret not in ended.stderr + ended.stdout
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if secret.encode() in path.read_bytes()]


def test_a_sweep_without_any_keeps_hydras_record(tmp_path):
    ended = run_script("train.py", "-m", "seed=1,2", "data.reader=none", cwd=tmp_path)
    assert ended.returncode == 2, ended.stderr
    (record,) = tmp_path.rglob("multirun.yaml")
    assert "data.reader=none" in record.read_text()
