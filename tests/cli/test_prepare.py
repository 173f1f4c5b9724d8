"""`videoclf prepare` from the command line to files that `data=csv` trains on."""

import json
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.barcode import read_barcodes, write_barcodes
from videoclf.cli import main
from videoclf.cli.composing import build_data, compose_train
from videoclf.readers.pyav import PyavReader

ENCODING = ("--short-side", "32", "--preset", "ultrafast", "--processes", "1")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Two classes of four videos each, every frame with a number of its own."""
    root = tmp_path_factory.mktemp("drawn")
    for place in range(8):
        folder = root / f"class {place % 2}"
        folder.mkdir(exist_ok=True)
        numbers = range(place * 20, place * 20 + 20)
        write_barcodes(folder / f"{place}.avi", numbers, codec="mpeg4", options={"bf": "2"})
    return root


@pytest.fixture
def videos(drawn, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(drawn, tmp_path / "videos")


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out.splitlines(), captured.err.splitlines()


def records(overrides, **settings):
    """Return what a training would read: folder, and (path, subset, label) by path."""
    data = build_data(compose_train(overrides, **settings))
    manifest = data.manifest()
    rows = [manifest.record(row) for row in range(len(manifest))]
    named = [(row.path, row.subset, manifest.class_names[row.labels[0]]) for row in rows]
    return data.folder(), sorted(named)


def test_prepared_videos_train_as_the_originals(capsys, videos, tmp_path):
    out_folder = tmp_path / "prepared"
    code, out, err = run(
        capsys, "prepare", videos, out_folder, *ENCODING, "--json", tmp_path / "out.json"
    )
    assert (code, err) == (0, [])
    table = out_folder / "manifest.csv"
    assert "8 of 8 files prepared in" in out[0]
    assert out[1:] == [
        f"8 of 8 records are in {table}; train with",
        f"  data=csv data.annotations={table}",
    ]
    _, originals = records(["data=folder"], data__root=str(videos))
    folder, prepared = records(["data=csv"], data__annotations=str(table))
    assert prepared == [(path[:-3] + "mp4", subset, label) for path, subset, label in originals]
    for path, _, _ in prepared:
        with PyavReader(str(folder / path), cache=False) as reader:
            first = 20 * int(path[-5])
            shown = read_barcodes(reader.frames(np.arange(reader.num_frames)))
            assert shown == list(range(first, first + 20))
            assert reader.height == 32
    facts = json.loads((tmp_path / "out.json").read_text())
    assert facts["encoding"]["short_side"] == 32
    assert facts["counts"]["frames"] == 160
    assert [each["source"][-4:] for each in facts["files"]] == [".avi"] * 8

    assert run(capsys, "check", table, "--processes", 1)[0] == 0
    changed = out_folder / "class 0" / "0.mp4"
    changed.write_bytes((out_folder / "class 0" / "2.mp4").read_bytes())
    code, out, _ = run(capsys, "check", table, "--quick", "--processes", 1)
    assert code == 3
    assert out[1].startswith("changed     class 0/0.mp4")


def test_failures_are_listed_and_left_out(capsys, videos, tmp_path):
    (videos / "class 0" / "0.avi").write_bytes(b"<html>")
    code, out, err = run(capsys, "prepare", videos, tmp_path / "out", *ENCODING)
    assert code == 3
    assert out[1].split(maxsplit=1)[0] == "unreadable"
    assert "is a web page, not a video" in out[1]
    assert err[-1] == (
        "error: 1 of 8 files could not be prepared and are left out; replace them and give the "
        "same command"
    )
    write_barcodes(videos / "class 0" / "0.avi", range(20), codec="mpeg4")
    code, out, err = run(capsys, "prepare", videos, tmp_path / "out", *ENCODING)
    assert code == 0
    assert err[0].startswith("going on with the run of ")
    assert err[0].endswith(", 7 files are there")


def test_destinations_that_would_mix(capsys, videos, tmp_path):
    inside = videos / "prepared"
    code, _, err = run(capsys, "prepare", videos, inside)
    assert code == 2
    assert "lies in the folder of the videos; name one outside" in err[-1]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious.mp4").touch()
    code, _, err = run(capsys, "prepare", videos, tmp_path / "full")
    assert code == 2
    assert "holds something already; name a new folder" in err[-1]


def test_other_settings_need_another_destination(capsys, videos, tmp_path):
    (videos / "class 0" / "0.avi").write_bytes(b"")
    for name in (2, 4, 6):
        (videos / "class 0" / f"{name}.avi").write_bytes(b"")
    arguments = ("prepare", videos, tmp_path / "out", *ENCODING)
    assert run(capsys, *arguments)[0] == 3
    code, _, err = run(capsys, *arguments, "--crf", 30)
    assert code == 2
    assert "of a run with crf=20.0, and now it is 30.0" in err[-1]


def test_a_table_that_cannot_be_trained_on_is_said_to_be(capsys, videos, tmp_path):
    rows = ["path,label,subset", "class 0/0.avi,zero,test"]
    rows += [f"class {n % 2}/{n}.avi,{'zero' if n == 2 else 'one'},train" for n in (1, 2, 3)]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    (videos / "class 0" / "2.avi").write_bytes(b"")
    arguments = (tmp_path / "list.csv", tmp_path / "out", "--root", videos, *ENCODING)
    code, out, _ = run(capsys, "prepare", *arguments)
    assert code == 3
    assert out[-3].startswith("3 of 4 records are in ")
    assert out[-1].startswith("but it cannot be trained on as it is: ")
    assert out[-1].endswith("no train row has the class 'zero'; add one, or take the class out")


def test_a_killed_preparation_goes_on(capsys, videos, tmp_path):
    for place in range(8):  # long enough to be killed in the middle
        source = videos / f"class {place % 2}" / f"{place}.avi"
        write_barcodes(source, [n % 250 for n in range(100)], codec="mpeg4")
    out_folder = tmp_path / "out"
    arguments = ["prepare", str(videos), str(out_folder), "--preset", "slow", "--processes", "1"]
    process = subprocess.Popen([sys.executable, "-m", "videoclf", *arguments])
    try:
        deadline = time.monotonic() + 60
        while len(list(out_folder.rglob("*.mp4"))) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    time.sleep(0.1)  # the kernel ends the worker with it
    before = {path: path.stat().st_mtime_ns for path in out_folder.rglob("*.mp4")}
    assert 3 <= len(before) < 8
    for path in before:  # whole, each one
        with PyavReader(str(path), cache=False) as reader:
            assert reader.num_frames == 100
    code, out, err = run(capsys, *arguments)
    assert code == 0, err
    ready = int(err[0].split()[-4])
    assert 1 <= ready <= len(before)  # the last ones may not be noted yet: they are done again
    assert out[-2].startswith("8 of 8 records are in ")
    kept = [path for path, time in before.items() if path.stat().st_mtime_ns == time]
    assert len(kept) == ready
    assert len(list(out_folder.rglob("*.mp4"))) == 8
    assert list(out_folder.rglob("*.part")) == []
