"""`videoclf flow` from the command line to stored flow that `data=csv` finds."""

import csv
import json
import shutil
import subprocess
import sys
import time

import av
import numpy as np
import pytest
from PIL import Image

from tests.flow.known_motion import moved, texture, translation
from videoclf.cli import main
from videoclf.cli.composing import build_data, compose_train
from videoclf.flow.farneback import Farneback
from videoclf.flow.stored import StoredFlow
from videoclf.generated.encode import write_video
from videoclf.readers.pyav import PyavReader

#: of the largest value that float32 has to hold
FLOAT_ROUNDING = 2.0**-22
FAST = ("--method", "farneback", "--set", "levels=2", "--processes", "1")


def pan(path, num_frames=6, seed=0, height=48, width=64):
    """Write a video of a texture that moves by a pixel a frame."""
    picture = texture(height, width, seed)
    frames = np.stack([moved(picture, translation(t, 0)) for t in range(num_frames)])
    write_video(path, frames, frames_per_second=25)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Two classes of four videos each."""
    root = tmp_path_factory.mktemp("drawn")
    for place in range(8):
        pan(root / f"class {place % 2}" / f"{place}.mp4", seed=place)
    return root


@pytest.fixture
def videos(drawn, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(drawn, tmp_path / "videos")


def run(capsys, *arguments):
    code = main(["flow", *(str(argument) for argument in arguments)])
    captured = capsys.readouterr()
    return code, captured.out.splitlines(), captured.err.splitlines()


def records(overrides, **settings):
    """Return what a training would read: path, subset and label, in order."""
    data = build_data(compose_train(overrides, **settings))
    manifest = data.manifest()
    rows = [manifest.record(row) for row in range(len(manifest))]
    return [(row.path, row.subset, manifest.class_names[row.labels[0]]) for row in rows]


def test_flow_is_stored_with_a_manifest_of_the_same_records(capsys, videos, tmp_path):
    out_folder = tmp_path / "flow"
    facts_file = tmp_path / "out.json"
    code, out, err = run(capsys, videos, out_folder, *FAST, "--json", facts_file)
    assert (code, err) == (0, [])
    table = out_folder / "manifest.csv"
    assert out[0].startswith("flow of 8 of 8 videos in ")
    assert ": 40 fields, " in out[0]
    assert out[1].startswith("codes of 0.157 pixels are off by 0.0")
    assert "at most; 0.000% of values lie beyond 20 pixels and are clipped, the largest" in out[1]
    assert out[2:] == [f"8 of 8 records are in {table}"]

    rgb = records(["data=folder"], data__root=str(videos))
    assert records(["data=csv"], data__annotations=str(table)) == rgb
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["source"] for row in rows] == [path for path, _, _ in rgb]
    for path, _, _ in rgb:
        with (
            PyavReader(str(videos / path), cache=False) as video,
            StoredFlow(str(out_folder / path), cache=False) as stored,
        ):
            assert np.array_equal(stored.times, video.times[:-1])
            expected = Farneback(levels=2).estimate(video.frames(np.arange(6)))
            off = np.abs(stored.fields(np.arange(5)) - expected).max()
            assert off <= stored.quantisation.step_pixels / 2 + 20 * FLOAT_ROUNDING
            assert stored.header.settings["levels"] == 2

    facts = json.loads(facts_file.read_text())
    assert facts["settings"]["method"] == "farneback"
    assert facts["storage"]["num_fields"] == 40
    assert facts["storage"]["num_bytes"] == sum(each["bytes"] for each in facts["files"])
    assert 0 < facts["storage"]["rounding_mean"] < 0.0785


def test_missing_and_broken_videos_are_listed(capsys, videos, tmp_path):
    (videos / "class 0" / "0.mp4").write_bytes(b"<html>")
    pan(videos / "class 1" / "1.mp4", num_frames=1)
    table = tmp_path / "list.csv"
    names = [f"class {n % 2}/{n}.mp4" for n in range(6)]
    lines = [f"{name},{name[:7]},train" for name in [*names, "class 0/gone.mp4"]]
    table.write_text("\n".join(["path,label,subset", *lines]))
    arguments = (table, tmp_path / "out", "--root", videos, *FAST)
    code, out, err = run(capsys, *arguments)
    assert code == 3
    assert [line.split()[1:3] for line in out[1:4]] == [
        ["class", name] for name in ("0/0.mp4", "0/gone.mp4", "1/1.mp4")
    ]
    assert "is a web page, not a video" in out[1]
    assert "does not exist" in out[2]
    assert "has one frame; flow needs two" in out[3]
    assert err[-1] == (
        "error: the flow of 3 of 7 videos is missing; replace these videos and give the same "
        "command"
    )
    for place, name in enumerate(["0/0.mp4", "0/gone.mp4", "1/1.mp4"]):
        pan(videos / f"class {name}", seed=place)
    code, out, err = run(capsys, *arguments)
    assert code == 0
    assert err[0].endswith(", 4 files are there")
    assert out[-1].startswith("7 of 7 records are in ")


def test_other_settings_need_another_destination(capsys, videos, tmp_path):
    for name in ("0", "2", "4", "6"):
        (videos / "class 0" / f"{name}.mp4").write_bytes(b"")
    assert run(capsys, videos, tmp_path / "out", *FAST)[0] == 3
    for change, sentence in (
        (("--bound", 8), "of a run with bound=20.0, and now it is 8.0"),
        (("--set", "levels=3"), "of a run with levels=2, and now it is 3"),
        (("--backward",), "of a run with backward=False, and now it is True"),
    ):
        code, _, err = run(capsys, videos, tmp_path / "out", *FAST, *change)
        assert code == 2
        assert sentence in err[-1]
        assert err[-1].endswith("; say the same again, or name another folder")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--method", "farnback"), "unknown flow method 'farnback': did you mean 'farneback'?"),
        (("--method", "dis", "--set", "levels=3"), "dis has no key 'levels'"),
        (
            ("--method", "farneback", "--set", "level=3"),
            "farneback has no key 'level'; did you mean 'levels'?",
        ),
        (("--set", "preset"), "cannot parse --set 'preset'; write --set key=value"),
        (("--set", "preset=[a"), "cannot parse --set 'preset=[a'"),
        (("--set", "refinements=2.5"), "dis: refinements=2.5 is no int or None"),
        (("--method", "tvl1", "--set", "tau=fast"), "tvl1: tau='fast' is no float"),
        (("--set", "preset=slow"), "dis: preset 'slow' is none of ultrafast, fast, medium"),
        (("--bound", "0"), "the bound must be above 0 pixels, not 0"),
        (("--bound", "-2"), "the bound must be above 0 pixels, not -2"),
        (("--short-side", "4"), "the short side must be at least 16 pixels, not 4"),
    ],
)
def test_wrong_settings(capsys, videos, tmp_path, arguments, sentence):
    code, _, err = run(capsys, videos, tmp_path / "out", *arguments)
    assert code == 2
    assert sentence in err[-1]
    assert not (tmp_path / "out").exists()


def test_places_that_make_no_sense(capsys, videos, tmp_path):
    code, _, err = run(capsys, videos)
    assert (code, err[-1][:40]) == (2, "error: name the videos and a folder for ")
    code, _, err = run(capsys, videos, videos / "flow")
    assert code == 2
    assert "lies in the folder of the videos; name one outside" in err[-1]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious.mp4").touch()
    code, _, err = run(capsys, videos, tmp_path / "full")
    assert code == 2
    assert "holds something already; name a new folder" in err[-1]
    code, _, err = run(capsys, tmp_path / "nowhere", tmp_path / "out")
    assert code == 2
    assert "does not exist; name a folder of videos" in err[-1]


def test_a_destination_that_cannot_be_written(capsys, videos, tmp_path):
    (tmp_path / "file").touch()
    code, _, err = run(capsys, videos, tmp_path / "file" / "out", *FAST)
    assert code == 6
    assert err[-1].startswith(f"error: cannot make {tmp_path / 'file' / 'out'}: ")
    code, _, err = run(capsys, "--show", videos / "class 0" / "0.mp4", tmp_path / "file", *FAST)
    assert code == 6
    assert "name another folder" in err[-1]


def test_weights_that_are_not_there(capsys, videos, tmp_path):
    weights = tmp_path / "none.pth"
    code, _, err = run(
        capsys, videos, tmp_path / "out", "--method", "raft", "--set", f"weights={weights}"
    )
    assert code == 5
    assert f"the weights of RAFT are not at {weights}; fetch https://" in err[-1]


@pytest.mark.parametrize("extra", [(), ("--backward",)])
def test_show(capsys, tmp_path, extra):
    pan(tmp_path / "a.mp4", num_frames=20)
    code, out, err = run(capsys, "--show", tmp_path / "a.mp4", tmp_path / "shown", *FAST, *extra)
    assert (code, err) == (0, [])
    video, strip = tmp_path / "shown" / "a_flow.mp4", tmp_path / "shown" / "a_flow.png"
    assert out[:2] == [str(video), str(strip)]
    assert out[2].startswith("the full colour is 1.")
    with av.open(str(video)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 19
    assert frames[0].shape == (48, 128, 3)
    red, green, blue = frames[5][12:20, 80:100].reshape(-1, 3).mean(axis=0)
    # motion to the right is red, to the left cyan
    assert (green > red + 50 and blue > red + 50) if extra else (red > green + 50 < red - blue)
    with Image.open(strip) as picture:
        assert picture.size == (6 * (64 + 6) + 170, 170)
        colours = np.asarray(picture)[20 + 48 + 6 + 12 : 20 + 48 + 6 + 20, 16:32].reshape(-1, 3)
    assert abs(colours.mean(axis=0) - (red, green, blue)).max() < 80  # 4:2:0


def test_show_what_is_not_there(capsys, tmp_path):
    code, _, err = run(capsys, "--show", tmp_path / "gone.mp4")
    assert code == 3
    assert err[-1] == f"error: cannot read video {tmp_path / 'gone.mp4'}: does not exist"


def test_a_killed_run_goes_on(capsys, videos, tmp_path):
    for place in range(8):  # long enough to be killed in the middle
        pan(videos / f"class {place % 2}" / f"{place}.mp4", 24, place, 96, 128)
    out_folder = tmp_path / "out"
    arguments = [str(videos), str(out_folder), "--method", "farneback", "--processes", "1"]
    process = subprocess.Popen([sys.executable, "-m", "videoclf", "flow", *arguments])
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
        with StoredFlow(str(path), cache=False) as stored:
            assert stored.codes(np.arange(23)).shape == (23, 96, 128, 2)
    code, out, err = run(capsys, *arguments)
    assert code == 0, err
    ready = int(err[0].split()[-4])
    assert 1 <= ready <= len(before)  # the last ones may not be noted yet: they are done again
    assert out[-1].startswith("8 of 8 records are in ")
    kept = [path for path, time in before.items() if path.stat().st_mtime_ns == time]
    assert len(kept) == ready
    assert len(list(out_folder.rglob("*.mp4"))) == 8
    assert list(out_folder.rglob("*.part")) == []
