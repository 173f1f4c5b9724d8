"""A check of many files: what shows between files, and going on after a stop."""

import json
import shutil

import pytest

from tests.barcode import write_barcodes, write_long_video
from videoclf.data.manifest import Manifest
from videoclf.errors import ConfigError
from videoclf.tools.checking import SCHEMA, Check
from videoclf.tools.found_file import earlier_hashes, write_json
from videoclf.tools.journal import Journal
from videoclf.tools.source import VideoSource

FAST = {"preset": "ultrafast"}


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Five files: one doubled, one empty."""
    root = tmp_path_factory.mktemp("videos")
    (root / "x").mkdir()
    for number, name in enumerate(["a.mp4", "b.mp4", "x/c.mp4"]):
        write_barcodes(root / name, range(number, number + 10), options=FAST)
    shutil.copy(root / "a.mp4", root / "x" / "same.mp4")
    (root / "empty.mp4").touch()
    return root


@pytest.fixture
def check(tmp_path):
    """Return a function that runs a check to its end."""

    def run(source, *, earlier=(), stop_after=None, quick=True, **settings):
        reports = []

        def report(done, total, problems):
            reports.append((done, total, problems))
            if done == stop_after:
                raise KeyboardInterrupt

        settings = {"num_processes": 1, "seconds_per_file": 60.0, **settings}
        with Journal(tmp_path / "check.sqlite", schema=SCHEMA, settings={}) as journal:
            work = Check(source, journal, quick=quick)
            done = work.list_files(earlier)
            work.inspect(report=report, **settings)
            work.compare()
            found = list(work.problems())
            write_json(tmp_path / "out.json", {"a": 1}, problems=found, files=work.facts())
            return found, reports, done

    return run


def manifest(paths, subsets, **columns):
    labels = [[0]] * len(paths)
    return Manifest.from_columns(
        class_names=["one"], paths=paths, labels=labels, subsets=subsets, **columns
    )


def test_problems_between_files(videos, check, tmp_path):
    found, reports, _ = check(VideoSource(videos))
    assert found == [
        ("empty.mp4", "unreadable", "is empty (0 bytes)"),
        ("x/same.mp4", "duplicate", "same content as a.mp4"),
    ]
    assert reports[0] == (0, 5, 0)
    assert reports[-1] == (5, 5, 1)
    files = json.loads((tmp_path / "out.json").read_text())["files"]
    assert [each["path"] for each in files] == sorted(each["path"] for each in files)
    assert [each["num_frames"] for each in files] == [10, 10, None, 10, 10]


def test_problems_of_records(videos, check):
    paths = ["a.mp4", "a.mp4", "x/same.mp4", "nowhere.mp4"]
    times = {"starts": [0.0, 7.5, None, None], "ends": [0.2, 9.0, None, None]}
    rows = manifest(paths, ["train", "train", "test", "val"], **times)
    found, _, _ = check(VideoSource(videos, manifest=rows))
    assert found == [
        ("nowhere.mp4", "missing", "is not there"),
        (
            "x/same.mp4",
            "duplicate",
            "same content as a.mp4, which is in train; this one is in test",
        ),
        ("a.mp4", "record", "a record starts at 7.5 s, and the last frame is at 0.36 s"),
    ]


def test_changes_since_an_earlier_check(videos, check, tmp_path):
    root = shutil.copytree(videos, tmp_path / "copy")
    check(VideoSource(root))
    earlier = shutil.copy(tmp_path / "out.json", tmp_path / "earlier.json")
    (tmp_path / "check.sqlite").unlink()
    write_barcodes(root / "b.mp4", range(50, 60), options=FAST)
    (root / "a.mp4").unlink()
    write_barcodes(root / "new.mp4", range(60, 70), options=FAST)
    found, _, _ = check(VideoSource(root), earlier=earlier_hashes(earlier))
    assert [(path, problem) for path, problem, _ in found] == [
        ("empty.mp4", "unreadable"),
        ("b.mp4", "changed"),
        ("a.mp4", "gone"),
    ]
    assert found[1][2].startswith("its content is not what it was: sha256 ")


def test_a_stopped_check_goes_on(videos, check, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        check(VideoSource(videos), stop_after=3)
    found, reports, done = check(VideoSource(videos))
    assert done == 3
    assert reports[0] == (3, 5, 1)  # the empty one comes third
    assert len(reports) == 3
    assert len(found) == 2
    assert len(list(earlier_hashes(tmp_path / "out.json"))) == 4


def test_a_file_that_changed_since_the_stop_is_done_again(videos, check, tmp_path):
    root = shutil.copytree(videos, tmp_path / "copy")
    with pytest.raises(KeyboardInterrupt):
        check(VideoSource(root), stop_after=3)
    write_barcodes(root / "a.mp4", range(70, 90), options=FAST)
    found, _, done = check(VideoSource(root))
    assert done == 2
    assert found == [("empty.mp4", "unreadable", "is empty (0 bytes)")]


def test_a_file_that_takes_too_long_is_named_and_tried_again(check, tmp_path):
    write_long_video(tmp_path / "root" / "large.mp4")
    found, _, _ = check(VideoSource(tmp_path / "root"), quick=False, seconds_per_file=0.02)
    assert found == [("large.mp4", "too slow", "took longer than 0.02 s")]
    found, _, done = check(VideoSource(tmp_path / "root"), quick=False)
    assert (found, done) == ([], 0)


def test_names_that_are_no_text(check, tmp_path):
    (tmp_path / "root").mkdir()
    with open(bytes(tmp_path / "root") + b"/bad\xff.mp4", "wb"):
        pass
    found, _, _ = check(VideoSource(tmp_path / "root"))
    assert found == [("bad\\udcff.mp4", "unreadable", "its name is not UTF-8")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", "{}"),
        ("a.json", "no JSON"),
        ("a.json", '{\n "files": [\n  {"path": "a"}\n ]\n}\n'),
        ("a.json", '{\n "files": [\n  {"path": "a", "sha256": "b"}\n'),
    ],
)
def test_other_files_are_no_earlier_check(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=r"a\.json is not the JSON of an earlier run .*--json"):
        list(earlier_hashes(tmp_path / name))


def test_tables_hold_hashes_too(tmp_path):
    (tmp_path / "a.csv").write_text("path,label,sha256\nx.mp4,one,abc\ny.mp4,one,\n")
    assert list(earlier_hashes(tmp_path / "a.csv")) == [("x.mp4", "abc")]
    (tmp_path / "b.csv").write_text("path,label\nx.mp4,one\n")
    with pytest.raises(ConfigError, match="no column 'sha256'"):
        list(earlier_hashes(tmp_path / "b.csv"))
