"""Train a tiny run in this process, stop it where wanted, go on, and compare every number."""

import signal
import time
import warnings

import torch
import yaml
from pytorch_lightning.callbacks import Callback

from videoclf import run
from videoclf.checkpoints import load
from videoclf.stop_signals import Stopped, StopSignals


class StopAt(Callback):
    """Sends a signal's note before one batch."""

    def __init__(self, stop, epoch, batch):
        self.stop = stop
        self.place = (epoch, batch)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if (trainer.current_epoch, batch_idx) == self.place:
            self.stop.received = signal.SIGTERM


def start_folder(source, folder, **changes):
    """Make a run folder with the config of another run; keys such as data__num_workers change."""
    folder.mkdir(parents=True)
    config = yaml.safe_load((source / "config.yaml").read_text())
    for key, value in changes.items():
        *groups, name = key.split("__")
        node = config
        for group in groups:
            node = node[group]
        node[name] = value
    text = yaml.safe_dump(config).replace(str(source), str(folder))
    (folder / "config.yaml").write_text(text)
    return folder


def fit(folder, *, resume_from=None, stop_at=None, num_workers=None):
    """Train as a rank does, without the evaluation; return True where it was stopped."""
    config = yaml.safe_load((folder / "config.yaml").read_text())
    if num_workers is not None:
        config["data"]["num_workers"] = num_workers
    stop = StopSignals()
    handlers = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        with warnings.catch_warnings():
            for category, message in run.QUIET:
                warnings.filterwarnings("ignore", message, category)
            parts = run.assemble(
                config,
                folder,
                training=True,
                stop=stop,
                began=time.time(),
                resume_from=resume_from,
            )
            if stop_at is not None:
                parts.trainer.callbacks.insert(0, StopAt(stop, *stop_at))
            parts.trainer.fit(parts.task, datamodule=parts.datamodule, ckpt_path=resume_from)
    except Stopped:
        return True
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return False


def assert_same_end(first, second):
    """Hold weights, optimiser, schedule and curves of two run folders against one another."""
    for name in ("last.ckpt", "best.ckpt"):
        one, other = (load(folder / "checkpoints" / name) for folder in (first, second))
        for key in ("state_dict", "current_model_state", "averaging_state", "optimizer_states"):
            assert_equal(one.get(key), other.get(key), f"{name}: {key}")
        assert_equal(one["lr_schedulers"], other["lr_schedulers"], name)
        assert one["global_step"] == other["global_step"]
        assert one["save_point"]["best"] == other["save_point"]["best"]
        assert_equal(one["save_point"]["ranks"], other["save_point"]["ranks"], name)
    assert rows_of(first) == rows_of(second)


def assert_equal(one, other, where):
    """Compare nested states, tensors bit by bit; FSDP2 gives tuples back as lists."""
    if not (isinstance(one, (list, tuple)) and isinstance(other, (list, tuple))):
        assert type(one) is type(other), where
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key, value in one.items():
            assert_equal(value, other[key], f"{where}.{key}")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), where
        for place, value in enumerate(one):
            assert_equal(value, other[place], f"{where}[{place}]")
    else:
        assert one == other, where


def rows_of(folder):
    """Return metrics.csv as rows of text, without the seconds."""
    lines = (folder / "metrics.csv").read_text().splitlines()
    clock = lines[0].split(",").index("time_seconds")
    return [
        [cell for place, cell in enumerate(line.split(",")) if place != clock] for line in lines
    ]
