"""Loader processes that hang or die, for real: the file is named, the run ends."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from torch.utils.data import DataLoader, Dataset

from videoclf.data import watchdog as module
from videoclf.data.watchdog import FileWatchdog
from videoclf.errors import DataError, WorkerError

SLOW, DEADLY = 3, 5


class Files(Dataset):
    """Rows 0 to 7, of which one never returns and one kills its process."""

    def __init__(self, open_files):
        self.open_files = open_files

    def __len__(self):
        return 8

    def __getitem__(self, row):
        with self.open_files.reading(row):
            if row == SLOW:
                time.sleep(600)
            if row == DEADLY:
                os.kill(os.getpid(), signal.SIGKILL)
            return row


def read(rows, *, seconds_per_file=0.5, num_workers=2):
    watchdog = FileWatchdog(seconds_per_file=seconds_per_file, path_of=lambda row: f"{row}.mp4")
    files = Files(watchdog.watch(num_workers))
    with watchdog.explaining():
        return [int(x) for x in DataLoader(files, sampler=rows, num_workers=num_workers)]


def test_files_are_read_as_without_it():
    assert read([0, 1, 2, 4]) == [0, 1, 2, 4]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_file_that_hangs_is_named_and_its_process_is_gone():
    with pytest.raises(DataError, match="3.mp4 has been read for more than 0.5 s") as raised:
        read([0, SLOW, 1, 2])
    assert "raise data.seconds_per_file" in str(raised.value)
    assert raised.value.exit_code == 3


# where PyTorch's queue notices the dead process first, its signal comes while the loader is deleted
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_process_that_dies_names_its_file():
    with pytest.raises(WorkerError, match="it was reading 5.mp4") as raised:
        read([0, DEADLY, 1, 2], seconds_per_file=None)
    assert "lower data.num_workers" in str(raised.value)


def hang(rows):
    time.sleep(600)


def test_a_process_that_hangs_with_no_file_open_is_found():
    """Such as one that waits for a lock; what it had read is closed by then."""
    watchdog = FileWatchdog(seconds_per_file=60, path_of=str)
    files = Files(watchdog.watch(1))
    batches = iter(DataLoader(files, sampler=[0], num_workers=1, collate_fn=hang, timeout=1))
    with (
        pytest.raises(WorkerError, match=r"timed out after 1 .*has no file open") as raised,
        watchdog.explaining(),
    ):
        next(batches)
    assert raised.value.exit_code == 7
    batches._shutdown_workers()


def test_other_errors_pass():
    with (
        pytest.raises(RuntimeError, match="of another kind"),
        FileWatchdog(seconds_per_file=None, path_of=str).explaining(),
    ):
        raise RuntimeError("of another kind")


def test_notes_say_what_is_open_now(monkeypatch):
    files = module.OpenFiles(0)
    assert files.now() == []
    with files.reading(7):
        (opened,) = files.now()
        assert (opened.process, opened.row) == (os.getpid(), 7)
    assert files.now() == []


def test_a_rank_that_hangs_itself_is_ended_with_the_sentence():
    """Without workers the rank reads itself; its thread leaves the error and ends it."""
    script = """
        import time
        from videoclf.data.watchdog import FileWatchdog
        dog = FileWatchdog(seconds_per_file=0.3, path_of=lambda row: f"{row}.mp4")
        with dog.watch(0).reading(4):
            time.sleep(600)
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 3
    assert "4.mp4 has been read for more than 0.3 s" in ended.stderr
