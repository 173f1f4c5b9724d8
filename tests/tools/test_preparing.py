"""Many files: their names, their table, and what a second run does again."""

import shutil

import pytest

from tests.barcode import write_barcodes, write_long_video
from videoclf.data.manifest import Manifest
from videoclf.errors import ConfigError
from videoclf.tools.journal import Journal
from videoclf.tools.prepared_table import check_labels, write_table
from videoclf.tools.preparing import JOURNAL, SCHEMA, Preparation, TargetNames
from videoclf.tools.reencoding import Encoder, Encoding
from videoclf.tools.source import VideoSource

FAST = {"preset": "ultrafast"}


def manifest(paths, *, names=("one", "two"), labels=None, subsets=None, **columns):
    return Manifest.from_columns(
        class_names=names,
        paths=paths,
        labels=labels or [[0]] * len(paths),
        subsets=subsets or ["train"] * len(paths),
        **columns,
    )


def test_names():
    paths = ["x/a.avi", "x/b.mov", "x/b.mkv", "x.y/c", ".d/e.mp4", "a.b.webm"]
    names = TargetNames(manifest(paths), cut=False)
    assert [names(path, 1.0, None) for path in paths] == [
        *("x/a.mp4", "x/b.mov.mp4", "x/b.mkv.mp4"),
        *("x.y/c.mp4", ".d/e.mp4", "a.b.mp4"),
    ]


def test_names_of_stretches():
    names = TargetNames(manifest(["a.mp4"]), cut=True)
    times = [(None, None), (0.0, 10.0), (12.5, None), (None, 1 / 3)]
    assert [names("a.mp4", *each) for each in times] == [
        *("a.mp4", "a_0_10.mp4", "a_12.5_end.mp4"),
        "a_0_0.3333333333333333.mp4",
    ]


@pytest.fixture
def prepare(tmp_path):
    """Return a function that prepares what is in `root`, to `out`."""
    (tmp_path / "root").mkdir()

    def run(rows, *, cut=False, seconds=60.0):
        encoding, out = Encoding(short_side=32, preset="ultrafast"), tmp_path / "out"
        with Journal(out / JOURNAL, schema=SCHEMA, settings={"cut": cut}) as journal:
            source = VideoSource(tmp_path / "root", manifest=rows)
            work = Preparation(source, out, journal, encoder=Encoder(encoding), cut=cut)
            ready = work.list_files()
            work.encode(num_processes=1, seconds_per_file=seconds, report=lambda *_: None)
            write_table(work)
            table = (out / "manifest.csv").read_text().splitlines()
            return ready, list(work.problems()), [line.split(",") for line in table[1:]]

    return run


def test_a_second_run_does_what_is_new_or_changed(tmp_path, prepare):
    root, out = tmp_path / "root", tmp_path / "out"
    for number, name in enumerate(["a.avi", "b.avi", "c.avi"]):
        write_barcodes(root / name, range(number, number + 5), codec="mpeg4")
    rows = manifest(["a.avi", "b.avi"])
    assert prepare(rows)[0] == 0
    before = {name: (out / name).stat().st_mtime_ns for name in ("a.mp4", "b.mp4")}

    (out / ".c.mp4.killed.part").touch()
    write_barcodes(root / "b.avi", range(50, 60), codec="mpeg4")
    ready, problems, table = prepare(manifest(["a.avi", "b.avi", "c.avi"]))
    assert (ready, problems) == (1, [])
    assert [line[0] for line in table] == ["a.mp4", "b.mp4", "c.mp4"]
    assert (out / "a.mp4").stat().st_mtime_ns == before["a.mp4"]
    assert (out / "b.mp4").stat().st_mtime_ns > before["b.mp4"]
    assert sorted(path.name for path in out.iterdir()) == [
        *(JOURNAL, "a.mp4", "b.mp4", "c.mp4", "manifest.csv")
    ]

    (out / "c.mp4").unlink()
    assert prepare(rows)[0] == 2
    assert not (out / "c.mp4").exists()


def test_what_fails_is_left_out_and_tried_again(tmp_path, prepare):
    root = tmp_path / "root"
    write_barcodes(root / "a.mp4", range(5), options=FAST)
    (root / "b.mp4").write_bytes(b"<html>")
    rows = manifest(["a.mp4", "b.mp4", "gone.mp4"])
    _, problems, table = prepare(rows)
    assert problems == [
        ("b.mp4", "unreadable", "is a web page, not a video"),
        ("gone.mp4", "unreadable", "does not exist"),
    ]
    assert [line[0] for line in table] == ["a.mp4"]
    shutil.copy(root / "a.mp4", root / "b.mp4")
    ready, problems, table = prepare(rows)
    assert (ready, len(problems)) == (1, 1)
    assert [line[0] for line in table] == ["a.mp4", "b.mp4"]


def test_stretches_become_files(tmp_path, prepare):
    write_barcodes(tmp_path / "root" / "a.mp4", range(30), options=FAST)
    rows = manifest(["a.mp4"] * 3, starts=[0.0, 0.4, 9.0], ends=[0.4, None, 10.0])
    _, problems, table = prepare(rows, cut=True)
    assert problems == [
        ("a.mp4 from 9 to 10", "unreadable", "has no frame between 9 s and 10 s; it is 1.16 s long")
    ]
    assert [line[:6] for line in table] == [
        ["a_0_0.4.mp4", "one", "train", "", "", ""],
        ["a_0.4_end.mp4", "one", "train", "", "", ""],
    ]


def test_uncut_records_keep_their_times(tmp_path, prepare):
    write_barcodes(tmp_path / "root" / "a.mp4", range(30), options=FAST)
    rows = manifest(
        ["a.mp4"] * 3,
        labels=[[0], [0, 1], [1]],
        starts=[0.0, 0.4, 0.6],
        ends=[0.4, None, 1.0],
        subsets=["train", "train", "test"],
        groups=["torn", "whole", "torn"],
    )
    _, _, table = prepare(rows)
    assert [line[:6] for line in table] == [
        ["a.mp4", "one", "train", "0.0", "0.4", ""],  # `data=csv` takes no group of two subsets
        ["a.mp4", "one|two", "train", "0.4", "", "whole"],
        ["a.mp4", "two", "test", "0.6", "1.0", ""],
    ]
    assert len({line[6] for line in table}) == 1
    header = (tmp_path / "out" / "manifest.csv").read_text().splitlines()[0]
    assert header == "path,labels,subset,start,end,group,sha256"


def test_names_that_collide_are_refused(prepare):
    with pytest.raises(ConfigError, match=r"3 videos lead to the names of 2; rename"):
        prepare(manifest(["a.avi", "a.mov", "a.avi.mp4"]))


@pytest.mark.parametrize("name", ["a|b", " a", ""])
def test_class_names_that_a_table_cannot_hold(name):
    with pytest.raises(ConfigError, match="cannot stand in a table"):
        check_labels(manifest(["a.mp4"], names=[name]))


def test_a_file_that_takes_too_long_leaves_nothing(tmp_path, prepare):
    write_long_video(tmp_path / "root" / "a[1].mp4")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".a[1].mp4.abc.part").touch()  # as a killed process would
    _, problems, table = prepare(manifest(["a[1].mp4"]), seconds=0.02)
    assert problems == [("a[1].mp4", "too slow", "took longer than 0.02 s")]
    assert table == []
    assert not list((tmp_path / "out").glob(".*.part"))
