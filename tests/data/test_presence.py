import pytest

from videoclf.data.manifest import Manifest
from videoclf.data.presence import check_files
from videoclf.errors import ConfigError, DataError

PATHS = ["jump/a.mp4", "run/b.mp4", "run/ü.mp4"]


def make(paths=PATHS):
    return Manifest.from_columns(
        class_names=["a"], paths=paths, labels=[(0,)] * 3, subsets=["train"] * 3
    )


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "videos"
    for path in PATHS:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def test_files_that_are_there(root):
    check_files(make(), root)


def test_missing_files_are_counted_and_listed(root, caplog):
    (root / "run" / "b.mp4").unlink()
    (root / "jump" / "a.mp4").unlink()
    (root / "jump").rmdir()
    with pytest.raises(DataError, match=r"2 of 3 videos are missing below .*: jump/a\.mp4, run/b"):
        check_files(make(), root)
    check_files(make(), root, allowed=2)
    assert "2 of 3 videos are missing" in caplog.text
    with pytest.raises(DataError, match=r"2 of 3 videos are missing"):
        check_files(make(), root, allowed=1)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../b.mp4",
        "run/../../b.mp4",
        "run/..",
        "a\0b.mp4",
        "http://x/b.mp4",
        "concat:a.mp4|b.mp4",
        "file:b.mp4",
    ],
)
def test_paths_that_lead_out_are_refused(root, path):
    with pytest.raises(ConfigError, match=r"is not inside the data root; name files relative"):
        check_files(make(paths=["jump/a.mp4", path, "run/ü.mp4"]), root)


@pytest.mark.parametrize("path", ["run/..b.mp4", "run/b..mp4", "10:30.mp4", "Title: part.mp4"])
def test_names_that_only_look_like_it_are_not(root, path):
    (root / path).touch()
    check_files(make(paths=["jump/a.mp4", path, "run/ü.mp4"]), root)


def test_links_may_stay_below_the_root_but_not_lead_out(root, tmp_path):
    (root / "run" / "b.mp4").unlink()
    (root / "run" / "b.mp4").symlink_to(root / "jump" / "a.mp4")
    check_files(make(), root)
    (tmp_path / "link").symlink_to(root)
    check_files(make(), tmp_path / "link")
    (tmp_path / "elsewhere.mp4").touch()
    (root / "run" / "b.mp4").unlink()
    (root / "run" / "b.mp4").symlink_to(tmp_path / "elsewhere.mp4")
    with pytest.raises(DataError, match=r"1 of 3 videos are links that lead out of .*: run/b\.mp4"):
        check_files(make(), root)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.mp4").touch()
    (root / "jump" / "a.mp4").unlink()
    (root / "jump").rmdir()
    (root / "jump").symlink_to(tmp_path / "outside")
    with pytest.raises(
        DataError, match=r"2 of 3 videos are links that lead out .*: jump/a\.mp4, run"
    ):
        check_files(make(), root)
