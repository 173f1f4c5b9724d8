import pytest

from videoclf.reports.redaction import HIDDEN, redact, redact_command


def test_values_under_secret_names_are_hidden():
    config = {
        "logger": {"api_key": "abc", "hf_token": "def", "project": "p"},
        "deep": [{"password": "ghi"}],
        "WANDB_API_KEY": "jkl",
    }
    assert redact(config) == {
        "logger": {"api_key": HIDDEN, "hf_token": HIDDEN, "project": "p"},
        "deep": [{"password": HIDDEN}],
        "WANDB_API_KEY": HIDDEN,
    }


def test_what_only_sounds_secret_stays():
    config = {"num_tokens": 196, "class_token": True, "tokens_per_frame": "4", "token": "none"}
    config |= {"monitor": "val/video_top1_1x1", "author": "A. Uthor", "tokenizer": "bpe"}
    assert redact(config) == config


def test_logins_in_addresses_are_hidden():
    assert redact("https://me:pass@host/x") == f"https://{HIDDEN}@host/x"


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("python train.py seed=1 'data.root=/a b'", "python train.py seed=1 'data.root=/a b'"),
        ("python train.py +logger.api_key=abc", f"python train.py +logger.api_key={HIDDEN}"),
        ("WANDB_API_KEY=abc python train.py", f"WANDB_API_KEY={HIDDEN} python train.py"),
        ("tool --token abc in.mp4", f"tool --token {HIDDEN} in.mp4"),
        ("tool --token=abc in.mp4", f"tool --token={HIDDEN} in.mp4"),
        ("train.py model.num_tokens=8", "train.py model.num_tokens=8"),
        ("train.py 'open quote", "train.py 'open quote"),
    ],
)
def test_commands(typed, shown):
    assert redact_command(typed) == shown
