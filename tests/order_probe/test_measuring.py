from xml.etree import ElementTree as ET

import numpy as np
import pytest

from tests.predicting.films import DARK, LIGHT, Brightening, Brightness, settings_of, write_grey
from videoclf.data.from_config import build_datamodule
from videoclf.data.manifest import Manifest
from videoclf.errors import ConfigError
from videoclf.order_probe.measuring import OrderProbe, measure
from videoclf.order_probe.picture import draw
from videoclf.order_probe.wording import sentence

RAMP = np.linspace(DARK, LIGHT, 8).astype(int).tolist()


def data_of(trained_run, folder, films, **changes):
    """Write films, (levels, label) each, and return what reads their whole length as a clip."""
    for number, (levels, _) in enumerate(films):
        write_grey(folder / f"{number}.mp4", levels)
    manifest = Manifest.from_columns(
        class_names=["dark", "light"],
        paths=[f"{number}.mp4" for number in range(len(films))],
        labels=[[label] for _, label in films],
        subsets=["test"] * len(films),
    )
    settings = settings_of(trained_run, num_frames=8, stride=1, num_clips=1)
    settings["data"] |= changes
    return build_datamodule(settings, manifest=manifest, folder=folder)


def measured(model, datamodule):
    return measure(model, datamodule, "test", lambda *_: None)


def accuracies(found):
    return {name: round(found.accuracy(name).value, 3) for name in found.hits}


def test_a_network_that_sees_nothing_but_motion(trained_run, tmp_path):
    films = [(RAMP, 1), (RAMP[::-1], 0)] * 4
    found = measured(Brightening(), data_of(trained_run, tmp_path, films))
    seen = accuracies(found)
    assert (seen["plain"], seen["reversed"]) == (1, 0)
    assert (
        seen["first frame"] == seen["middle frame"] == seen["single frames"] == found.chance == 0.5
    )
    assert found.motion_share() == 1
    assert "Of the 50.0 points that the network has above chance, 100% is motion" in sentence(found)
    assert "with time reversed 100.0 points (100.0 to 100.0)" in sentence(found)


def test_a_network_that_sees_no_motion(trained_run, tmp_path):
    films = [([DARK] * 8, 0), ([LIGHT] * 8, 1)] * 3
    found = measured(Brightness(), data_of(trained_run, tmp_path, films))
    assert set(accuracies(found).values()) == {1}
    assert found.motion_share() == 0
    assert sentence(found).endswith("These videos do not tell whether it uses motion at all.")


def test_a_missing_video_is_wrong_in_all_versions(trained_run, tmp_path):
    films = [([DARK] * 8, 0), ([LIGHT] * 8, 1)] * 2
    datamodule = data_of(trained_run, tmp_path, films)
    (tmp_path / "3.mp4").unlink()
    found = measured(Brightness(), datamodule)
    assert set(accuracies(found).values()) == {0.75}
    numbers = found.as_json()
    assert numbers["missing"] == [{"path": "3.mp4", "reason": "does not exist"}]
    assert numbers["num_videos"] == 4


def test_flow_is_refused(trained_run, tmp_path):
    datamodule = data_of(trained_run, tmp_path, [([DARK] * 8, 0)], modalities=["flow"])
    with pytest.raises(ConfigError, match="the network reads flow; flow is motion itself"):
        measured(Brightness(), datamodule)


def probe_of(plain, still, labels=(0, 1, 2, 3)):
    hits = {name: np.array(still, bool) for name in ("first frame", "middle frame")}
    hits |= {name: np.array(still, bool) for name in ("single frames", "shuffled", "reversed")}
    return OrderProbe({"plain": np.array(plain, bool), **hits}, np.array(labels), [None] * 4, ())


def test_the_share_of_motion_by_hand():
    # 4 classes, chance 0.25; plain 1.0, stills 0.5: (1 - 0.5) / (1 - 0.25)
    assert probe_of([1, 1, 1, 1], [1, 1, 0, 0]).motion_share() == pytest.approx(2 / 3)
    # stills below chance count as chance; stills above plain as no motion
    assert probe_of([1, 1, 1, 1], [0, 0, 0, 0]).motion_share() == 1
    assert probe_of([1, 1, 0, 0], [1, 1, 1, 0]).motion_share() == 0
    nothing = probe_of([1, 0, 0, 0], [1, 0, 0, 0])
    assert nothing.motion_share() is None
    assert "there is no accuracy to explain" in sentence(nothing)


def test_the_picture_names_every_version():
    root = ET.fromstring(draw(probe_of([1, 1, 1, 1], [1, 1, 0, 0]), title="a < b", subtitle="s"))
    words = {each.text for each in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"a < b", "plain", "shuffled", "single frames", "100.0%", "50.0%"} <= words
