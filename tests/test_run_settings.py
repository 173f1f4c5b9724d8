import pytest
import yaml

from videoclf.config import CONF
from videoclf.errors import ConfigError
from videoclf.run_settings import RunSettings, TrainerSettings, check_run_settings


def own(file):
    """The keys of a file that belong to no group."""
    groups = {path.name for path in CONF.iterdir() if path.is_dir()}
    read = yaml.safe_load((CONF / file).read_text())
    return {key: value for key, value in read.items() if key not in {*groups, "defaults", "hydra"}}


def settings(**changes):
    trainer = yaml.safe_load((CONF / "trainer" / "auto.yaml").read_text())
    config = {**own("train.yaml"), "trainer": trainer}
    for key, value in changes.items():
        *group, name = key.split("__")
        (config[group[0]] if group else config)[name] = value
    return config


def test_every_key_of_train_yaml_is_known_and_no_other():
    known = RunSettings.__dataclass_fields__
    assert set(own("train.yaml")) == set(known)
    of_evaluations = {"checkpoint_file", "head_of", "members", "subset"}
    assert set(own("evaluate.yaml")) - set(known) == of_evaluations


@pytest.mark.parametrize("file", sorted((CONF / "trainer").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_key_of_a_trainer_is_known(file):
    keys = set(yaml.safe_load(file.read_text())) - {"_target_", "defaults"}
    judged_elsewhere = {"devices", "strategy"}  # by count_ranks and Lightning
    assert keys - judged_elsewhere <= set(TrainerSettings.__dataclass_fields__)


def test_what_the_files_say_is_right():
    check_run_settings(settings())


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("seed", -1, "seed=-1 must be from 0 to 4294967295"),
        ("seed", 2**32, "seed=4294967296 must be from 0"),
        ("seed", None, "seed=null must be a whole number"),
        ("name", "../../etc", "name=../../etc names a folder below runs/, without slashes"),
        ("name", "..", "name=.. names a folder"),
        ("name", [1], r"name=\[1\] must be text or null"),
        ("ema_decay", 2, "ema_decay=2 must lie between 0 and 1, or be null"),
        ("ema_decay", True, "ema_decay=true must be a number or null"),
        ("overfit", 0, "overfit=0 must be at least 1 training video"),
        ("dry_run", "maybe", "dry_run=maybe must be true or false"),
        ("freeze", "head", "freeze=head must be backbone or null"),
        ("profiler", "advanced", "profiler=advanced must be simple or null"),
        ("unfreeze_at_epoch", "x", "unfreeze_at_epoch=x must be a whole number, a list of whole"),
        ("seconds_to_stop", 0, "seconds_to_stop=0 must be above 0"),
        ("seconds_without_progress", -1, "seconds_without_progress=-1 must be above 0"),
        ("trusted_packages", "mine", "trusted_packages=mine must be a list of texts"),
        ("early_stopping", 5, "early_stopping=5 must be a mapping"),
        ("early_stopping__patience", 0, "early_stopping.patience=0 must be at least 1"),
        ("early_stopping__patience", 1.5, "early_stopping.patience=1.5 must be a whole number"),
        ("trainer__max_epochs", None, "trainer.max_epochs=null must be a whole number"),
        ("trainer__max_epochs", -1, "trainer.max_epochs=-1 must be at least 1"),
        ("trainer__accelerator", "tpu", "trainer.accelerator=tpu must be auto, cpu, gpu, cuda or"),
        ("trainer__num_nodes", "two", "trainer.num_nodes=two must be a whole number"),
        ("trainer__accumulate_grad_batches", 0, "trainer.accumulate_grad_batches=0 must be at"),
        ("trainer__log_every_n_steps", 0, "trainer.log_every_n_steps=0 must be at least 1"),
        ("trainer__gradient_clip_val", -1, "trainer.gradient_clip_val=-1 must be at least 0"),
        ("trainer__limit_train_batches", 0, "trainer.limit_train_batches=0 must be a number of"),
        ("trainer__limit_train_batches", 1.5, "trainer.limit_train_batches=1.5 must be a number"),
        ("trainer__deterministic", "perhaps", "trainer.deterministic=perhaps must be true, false"),
        ("trainer__precision", "bf16-true", "trainer.precision=bf16-true must be 32-true, bf16-m"),
        ("trainer__check_val_every_n_epoch", 11, "is above trainer.max_epochs=10: nothing would"),
        ("trainer__fast_dev_run", True, "use dry_run=true"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(key, value, sentence):
    with pytest.raises(ConfigError, match=sentence):
        check_run_settings(settings(**{key: value}))
