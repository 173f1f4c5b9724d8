import json
import os

import numpy as np
import pytest

from videoclf.errors import DataError, StorageError
from videoclf.generated.draw import draw_missing

PATHS = [f"train/{number}.mp4" for number in range(6)]


def draw_number(path):
    """Draw two frames as bright as the path's number."""
    number = int(path.split("/")[1].split(".")[0])
    return np.full((2, 16, 16, 3), number, np.uint8)


def draw_all(root, draw=draw_number, paths=PATHS, **parameters):
    return draw_missing(
        root, paths, draw, parameters=parameters or {"seed": 0}, frames_per_second=5, name="numbers"
    )


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_draws_all_once_with_a_bar_on_stderr(tmp_path, capsys):
    assert draw_all(tmp_path) == 6
    output = capsys.readouterr()
    assert "Drawing numbers" in output.err
    assert "6/6" in output.err
    assert output.out == ""
    assert names(tmp_path / "train") == [f"{number}.mp4" for number in range(6)]
    assert draw_all(tmp_path) == 0
    assert capsys.readouterr().err == ""


def test_an_interrupted_drawing_goes_on_where_it_stopped(tmp_path):
    drawn = []

    def draw(path):
        if len(drawn) == 3:
            raise KeyboardInterrupt
        drawn.append(path)
        return draw_number(path)

    with pytest.raises(KeyboardInterrupt):
        draw_all(tmp_path, draw)
    assert names(tmp_path / "train") == ["0.mp4", "1.mp4", "2.mp4"]
    times = [(tmp_path / path).stat().st_mtime_ns for path in PATHS[:3]]
    assert draw_all(tmp_path) == 3
    assert [(tmp_path / path).stat().st_mtime_ns for path in PATHS[:3]] == times


def test_a_process_that_fails_leaves_no_half_file(tmp_path, monkeypatch):
    def fail(source, target):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(StorageError, match=r"No space left on device; free space there, or"):
            draw_all(tmp_path)
    assert not list(tmp_path.rglob("*.*"))
    assert draw_all(tmp_path) == 6


def test_a_deleted_file_is_drawn_again_with_the_same_bytes(tmp_path):
    draw_all(tmp_path)
    before = (tmp_path / PATHS[4]).read_bytes()
    (tmp_path / PATHS[4]).unlink()
    assert draw_all(tmp_path) == 1
    assert (tmp_path / PATHS[4]).read_bytes() == before


@pytest.mark.parametrize(
    ("held", "message"),
    [
        (json.dumps({"seed": 1}), r"drawn with other parameters: seed=1 \(not 0\); delete it"),
        ("[1, 2]", "is not what data=numbers wrote there"),
        ("{", "is not what data=numbers wrote there"),
    ],
)
def test_a_folder_of_other_parameters_is_refused(tmp_path, held, message):
    (tmp_path / "parameters.json").write_text(held)
    with pytest.raises(DataError, match=message):
        draw_all(tmp_path)


def test_a_folder_of_somebodys_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "holiday.mp4").write_bytes(b"mine")
    with pytest.raises(DataError, match=r"holds files that data=numbers did not draw; for videos"):
        draw_all(tmp_path)
    assert names(tmp_path) == ["holiday.mp4"]
    with pytest.raises(DataError, match=r"holiday\.mp4 is not a folder"):
        draw_all(tmp_path / "holiday.mp4")
