"""Kill a run at random points, go on each time, and hold the end against a run never stopped.

python -m tests.chaos --kills 20 [--seed 0]
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.conftest import PROJECT, TINY, TINY_MODEL
from tests.loader_processes import children
from tests.resuming import assert_same_end, rows_of

#: Tiny, and yet with everything that has a state: dropout, momentum, averaged weights, saves
#: between the epochs, and an epoch that ends in half an accumulated batch.
SETTINGS = (
    *TINY,
    *TINY_MODEL,
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
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def num_rows(folder):
    """Rows of the run's curves so far."""
    path = folder / "metrics.csv"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def kill_somewhere(process, folder, chance, *, rows):
    """Send SIGKILL at a random point; return who got it, or None where the run has ended.

    One kill of four comes within the first seconds, where processes start and checkpoints load;
    the others come after up to `rows` more rows of the curves, at any moment of a step or a save.
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
    ranks = children(process.pid) if process.poll() is None else []
    victim = chance.choice(["launcher", "rank"] if ranks else ["launcher"])
    if process.poll() is not None:
        return None
    os.kill(ranks[0] if victim == "rank" else process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    return victim


def chaos(folder, *, kills, seed, epochs, rows, say=lambda text: None):
    """Kill and resume until there were so many kills; each run that ends is compared.

    Returns:
        Lines that say what was done.
    """
    chance = random.Random(seed)
    settings = [*SETTINGS, f"trainer.max_epochs={epochs}"]
    whole = folder / "whole"
    process = train(*settings, f"run_dir={whole}")
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    victims, ended, open_end = [], 0, True
    while len(victims) < kills or open_end:
        run = folder / f"run{ended}"
        open_end = True
        begun = (run / "config.yaml").exists()
        workers = f"data.num_workers={chance.choice([0, 1, 2])}"
        process = train(f"resume={run}", workers) if begun else train(*settings, f"run_dir={run}")
        victim = kill_somewhere(process, run, chance, rows=rows) if len(victims) < kills else None
        if victim is not None:
            victims.append(victim)
            say(f"kill {len(victims)} of {kills}: {victim} at row {num_rows(run)}")
            if not (run / "config.yaml").exists() and run.exists():
                run.rmdir()
            continue
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors
        assert_same_end(whole, run)
        ended, open_end = ended + 1, False
        say(f"run {ended} ended, equal to the one never stopped")
    by_victim = f"{victims.count('launcher')} of the launcher, {victims.count('rank')} of the rank"
    rows_a_run = len(rows_of(whole)) - 1
    return [
        f"{len(victims)} SIGKILLs ({by_victim}) over {ended} runs of {rows_a_run} logged rows",
        f"all {ended} ended as the run that was never stopped, bit by bit",
    ]


def main():
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=12)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chaos_") as folder:
        os.environ.setdefault("VIDEOCLF_CACHE", f"{folder}/cache")
        lines = chaos(
            Path(folder).resolve(),
            kills=options.kills,
            seed=options.seed,
            epochs=options.epochs,
            rows=2 * options.epochs,
            say=lambda text: print(text, flush=True),
        )
    print("\n".join(lines))


if __name__ == "__main__":
    main()
