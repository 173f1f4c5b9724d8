"""Kill a run at random points, go on each time, and hold the end against a run never stopped.

python -m tests.chaos --kills 20 [--seed 0] [--saves] [--signal SIGTERM] [--ranks 2]

Compared are weights, optimiser, schedule, curves, and which videos each step has trained on. With
--saves every kill comes while a checkpoint is being written; with --signal the run is asked to end
instead, and the seconds that it takes are told. Where there is another file system at hand, the
temporary folder lies on it.
"""

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.conftest import PROJECT, TINY, TINY_MODEL
from tests.loader_processes import children
from tests.recording import RECORDED
from tests.resuming import assert_same_end, rows_of
from videoclf.checkpoints import load
from videoclf.whole_checkpoints import newest_checkpoint

#: Tiny, and yet with everything that has a state: dropout, momentum, averaged weights, saves
#: between the epochs, and an epoch that ends in half an accumulated batch.
SETTINGS = (
    *TINY,
    *TINY_MODEL,
    *RECORDED,
    "model.dropout=0.3",
    "data.num_train=56",
    "ema_decay=0.9",
    "trainer.accumulate_grad_batches=2",
    "trainer.log_every_n_steps=1",
    "checkpoint.every_n_steps=3",
)


def train(*arguments):
    """Start train.py; its own words are kept."""
    command = [sys.executable, str(PROJECT / "train.py"), *arguments]
    return subprocess.Popen(
        command, cwd=PROJECT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def num_rows(folder):
    """Rows of the run's curves so far."""
    path = folder / "metrics.csv"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def end_of(process):
    """Wait for the end of a run; return what it said on stderr."""
    _, said = process.communicate(timeout=600)
    return said


def wait_somewhere(process, folder, chance, *, rows):
    """Wait for a random point of a run; return whether it is still going on.

    One wait of four ends within the first seconds, where processes start and checkpoints load;
    the others end after up to `rows` more rows of the curves, at any moment of a step or a save.
    """
    begin, wanted = time.monotonic(), num_rows(folder) + chance.randint(0, rows)
    at_start = chance.uniform(0.5, 6.0) if chance.random() < 0.25 else None
    while process.poll() is None:
        if at_start is not None and time.monotonic() - begin > at_start:
            break
        if at_start is None and num_rows(folder) >= max(1, wanted):
            time.sleep(chance.uniform(0, 0.3))
            break
        time.sleep(0.005)
    return process.poll() is None


def kill_somewhere(process, folder, chance, *, rows):
    """Send SIGKILL at a random point; return who got it, or None where the run has ended."""
    going = wait_somewhere(process, folder, chance, rows=rows)
    ranks = children(process.pid) if going else []
    victim = chance.choice(["launcher", "rank"] if ranks else ["launcher"])
    if process.poll() is not None:
        return None
    os.kill(ranks[0] if victim == "rank" else process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    return victim


class Interruption:
    """Asks a run to end at a random point, and notes how long it takes.

    Args:
        number: SIGTERM or SIGINT.
    """

    def __init__(self, number):
        self.number = number
        self.seconds = []

    def __call__(self, process, folder, chance, *, rows):
        if not wait_somewhere(process, folder, chance, rows=rows):
            return None
        began = time.monotonic()
        process.send_signal(self.number)
        process.wait(timeout=60)
        if process.returncode == 0:  # its last files were written already
            return None
        self.seconds.append(time.monotonic() - began)
        # before Python has begun with our code the signal itself ends it; a shell shows the same
        assert process.returncode in (128 + self.number, -self.number), end_of(process)
        process.communicate()
        return f"launcher by {self.number.name}"


def kill_in_a_save(process, folder, chance, *, rows):
    """Send SIGKILL to the rank while a checkpoint lies half written; return who got it, or None."""
    wanted = num_rows(folder) + chance.randint(0, rows)
    checkpoints = folder / "checkpoints"
    while process.poll() is None:
        if num_rows(folder) < wanted or not any(checkpoints.glob(".*.part")):
            continue
        ranks = children(process.pid)
        if not ranks:
            continue
        os.kill(ranks[0], signal.SIGKILL)
        process.communicate(timeout=60)
        return "rank in a save" if any(checkpoints.glob(".*.part")) else "rank after a save"
    return None


def assert_loadable(folder):
    """Load the checkpoint that the run would go on from, if it has left any."""
    checkpoint = newest_checkpoint(folder / "checkpoints")
    if checkpoint is not None:
        load(checkpoint)
    return checkpoint is not None


def assert_each_once(folder, *, videos, batch, epochs, ranks):
    """Hold the videos that the last weights have learnt from against whole epochs.

    An epoch drops what is left over of its last batch, so it trains on whole batches, each on
    other videos. Of several ranks the first tells, which has its even share of each batch.
    """
    samples = [tuple(each) for each in load(folder / "checkpoints" / "last.ckpt")["samples"]]
    whole = videos // batch * batch // ranks
    assert len(samples) == whole * epochs
    assert len(set(samples)) == len(samples), "a video was trained on twice in an epoch"
    assert [epoch for epoch, _ in samples] == [e for e in range(epochs) for _ in range(whole)]
    return samples


def chaos(
    folder, *, kills, seed, epochs, rows, ranks=1, kill=kill_somewhere, say=lambda text: None
):
    """Kill and resume until there were so many kills; each run that ends is compared.

    Returns:
        Lines that say what was done.
    """
    chance = random.Random(seed)
    settings = [*SETTINGS, f"trainer.max_epochs={epochs}"]
    if ranks > 1:
        settings += ["trainer=ddp", "trainer.accelerator=cpu", f"trainer.devices={ranks}"]
        settings += [f"data.batch_size={8 // ranks}"]
    sizes = {"videos": 56, "batch": 8, "epochs": epochs, "ranks": ranks}
    whole = folder / "whole"
    process = train(*settings, f"run_dir={whole}")
    said = end_of(process)
    assert process.returncode == 0, said
    samples = assert_each_once(whole, **sizes)
    victims, ended, loadable, open_end = [], 0, 0, True
    while len(victims) < kills or open_end:
        run = folder / f"run{ended}"
        open_end = True
        begun = (run / "config.yaml").exists()
        workers = f"data.num_workers={chance.choice([0, 1, 2])}"
        again = (f"resume={run}", workers, RECORDED[-1])
        process = train(*again) if begun else train(*settings, f"run_dir={run}")
        victim = kill(process, run, chance, rows=rows) if len(victims) < kills else None
        if victim is not None:
            victims.append(victim)
            say(f"kill {len(victims)} of {kills}: {victim} at row {num_rows(run)}")
            loadable += assert_loadable(run)
            if not (run / "config.yaml").exists() and run.exists():
                run.rmdir()
            continue
        said = end_of(process)
        assert process.returncode == 0, said
        assert_same_end(whole, run)
        assert assert_each_once(run, **sizes) == samples
        ended, open_end = ended + 1, False
        say(f"run {ended} ended, equal to the one never stopped")
    by_victim = ", ".join(f"{victims.count(each)} of the {each}" for each in sorted({*victims}))
    rows_a_run = len(rows_of(whole)) - 1
    return [
        f"{len(victims)} kills ({by_victim}) over {ended} runs of {rows_a_run} logged rows",
        f"after {loadable} there was a checkpoint, and it loaded; after the others none yet",
        f"all {ended} ended as the run that was never stopped, bit by bit",
        f"each trained on the same {len(samples)} videos in the same order, none twice an epoch"
        + (" (rank 0)" if ranks > 1 else ""),
    ]


def other_file_system(folder):
    """Return a folder on another file system than `folder`, or None."""
    memory = Path("/dev/shm")
    if memory.is_dir() and memory.stat().st_dev != folder.stat().st_dev:
        return memory
    return None


def main():
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--ranks", type=int, default=1, choices=(1, 2, 4))
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--saves", action="store_true", help="kill only while it saves")
    how.add_argument("--signal", choices=("SIGTERM", "SIGINT"), help="ask it to end instead")
    options = parser.parse_args()
    kill = kill_in_a_save if options.saves else kill_somewhere
    if options.signal:
        kill = Interruption(signal.Signals[options.signal])
    with tempfile.TemporaryDirectory(prefix="chaos_") as name:
        folder = Path(name).resolve()
        os.environ.setdefault("VIDEOCLF_CACHE", f"{folder}/cache")
        with tempfile.TemporaryDirectory(dir=other_file_system(folder)) as temporary:
            os.environ["TMPDIR"] = temporary
            lines = chaos(
                folder,
                kills=options.kills,
                seed=options.seed,
                epochs=options.epochs,
                rows=options.epochs if options.saves else 2 * options.epochs,
                ranks=options.ranks,
                kill=kill,
                say=lambda text: print(text, flush=True),
            )
    print("\n".join(lines))
    if options.signal:
        middle, most = statistics.median(kill.seconds), max(kill.seconds)
        print(f"seconds from {options.signal} to the end: median {middle:.1f}, at most {most:.1f}")


if __name__ == "__main__":
    main()
