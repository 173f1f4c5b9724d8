"""`videoclf check` from the command line to its table, JSON and exit code."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from tests.barcode import write_barcodes
from videoclf.cli import main

FAST = {"preset": "ultrafast"}


@pytest.fixture
def videos(tmp_path):
    """A class folder each for sound and unsound files."""
    root = tmp_path / "videos"
    for name in ("good", "bad"):
        (root / name).mkdir(parents=True)
    for number in range(3):
        write_barcodes(root / "good" / f"{number}.mp4", range(number, number + 8), options=FAST)
    return root


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out.splitlines(), captured.err.splitlines()


def test_sound_files(capsys, videos):
    code, out, err = run(capsys, "check", videos, "--processes", 1)
    assert (code, err) == (0, [])
    assert out[-1].startswith("3 files decoded in ")
    assert out[-1].endswith(" s: 3 sound")


def test_everything_that_can_be_wrong(capsys, videos, tmp_path):
    whole = (videos / "good" / "0.mp4").read_bytes()
    (videos / "bad" / "truncated.mp4").write_bytes(whole[: len(whole) // 2])
    (videos / "bad" / "page.mp4").write_bytes(b"<html>404</html>")
    (videos / "bad" / "empty.mp4").touch()
    os.mkfifo(videos / "bad" / "pipe.mp4")
    shutil.copy(videos / "good" / "1.mp4", videos / "bad" / "[bold]copy.mp4")
    earlier = {"path": "good/2.mp4", "sha256": "0" * 64}
    text = f'{{\n "a": 1,\n "files": [\n  {json.dumps(earlier)}\n ]\n}}\n'
    (tmp_path / "earlier.json").write_text(text)
    code, out, err = run(
        *(capsys, "check", videos, "--json", tmp_path / "out.json"),
        *("--against", tmp_path / "earlier.json", "--processes", 1),
    )
    assert code == 3
    rows = {tuple(line.split()[:2]) for line in out[1:-1]}
    assert rows == {
        ("unreadable", "bad/truncated.mp4"),
        ("unreadable", "bad/page.mp4"),
        ("unreadable", "bad/empty.mp4"),
        ("unreadable", "bad/pipe.mp4"),
        ("duplicate", "good/1.mp4"),
        ("changed", "good/2.mp4"),
    }
    assert "same content as bad/[bold]copy.mp4" in "\n".join(out)
    counts = "4 unreadable, 1 changed, 1 duplicate"
    assert out[-1].endswith(f": 2 sound; {counts}")
    assert err == [
        f"error: 6 of 8 files have problems ({counts}); replace these files, or leave them out"
    ]
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["counts"]["sound"] == 2
    assert len(found["problems"]) == 6
    assert len(found["files"]) == 8
    assert len(list(videos.rglob("*.mp4"))) == 8  # nothing is deleted


def test_tables_give_hashes(capsys, videos, tmp_path):
    sha256 = "0" * 64
    rows = ["path,label,sha256", f"good/0.mp4,one,{sha256}", "good/1.mp4,one,", "gone.mp4,one,"]
    (videos / "list.csv").write_text("\n".join(rows))
    code, out, _ = run(capsys, "check", videos / "list.csv", "--quick", "--processes", 1)
    assert code == 3
    problems = sorted(tuple(line.split()[:2]) for line in out[1:-1])
    assert problems == [("changed", "good/0.mp4"), ("missing", "gone.mp4")]
    assert "3 files looked at" in out[-1]


def test_settings_as_for_training(capsys, videos):
    shutil.rmtree(videos / "bad")
    for name in ("2", "3"):
        (videos / name).mkdir()
        write_barcodes(videos / name / "a.mp4", range(int(name), 20), options=FAST)
    code, out, _ = run(capsys, "check", "data=folder", f"data.root={videos}", "--quick")
    assert (code, len(out)) == (0, 1)


def test_an_empty_folder(capsys, tmp_path):
    code, _, err = run(capsys, "check", tmp_path)
    assert code == 3
    assert "no videos are below" in err[-1]


def count_done(journal):
    """Count what a running check has saved; it holds the file itself locked."""
    copy = journal.with_suffix(".copy")
    try:
        shutil.copy(journal, copy)
        with sqlite3.connect(copy) as database:
            return database.execute("SELECT count(*) FROM files WHERE done").fetchone()[0]
    except (FileNotFoundError, sqlite3.Error):
        return 0


def children(process):
    try:
        with open(f"/proc/{process.pid}/task/{process.pid}/children") as file:
            return [int(number) for number in file.read().split()]
    except FileNotFoundError:
        return []


def is_alive(number):
    try:
        with open(f"/proc/{number}/stat") as file:
            return file.read().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_a_killed_check_goes_on(capsys, tmp_path):
    root, journal = tmp_path / "videos", tmp_path / "journal.sqlite"
    root.mkdir()
    numbers = [number % 250 for number in range(500)]
    data = write_barcodes(tmp_path / "a.mp4", numbers, options=FAST).read_bytes()
    for number in range(150):
        free = (8 + 4).to_bytes(4, "big") + b"free" + number.to_bytes(4, "big")
        (root / f"{number:03}.mp4").write_bytes(data + free)
    arguments = ["check", str(root), "--journal", str(journal), "--processes", "1"]
    process = subprocess.Popen([sys.executable, "-m", "videoclf", *arguments])
    try:
        deadline = time.monotonic() + 60
        counts = {0}
        while len(counts) < 3 and time.monotonic() < deadline:  # what the first was is on disk
            counts.add(count_done(journal))
            time.sleep(0.02)
        workers = children(process)
    finally:
        process.kill()
        process.wait()
    assert workers
    code, out, err = run(capsys, *arguments, "--json", tmp_path / "out.json")
    assert code == 0, err
    assert err[0].startswith("going on with the run of ")
    done = int(err[0].split()[-4])
    assert 0 < done < 150
    assert out[-1].endswith("150 sound")
    assert len(json.loads((tmp_path / "out.json").read_text())["files"]) == 150
    assert not journal.exists()
    assert not any(is_alive(number) for number in workers)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
