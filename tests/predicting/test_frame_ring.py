import numpy as np
import yaml

from videoclf.build import build
from videoclf.evaluation.views import Views
from videoclf.predicting.frame_ring import FrameRing


class Counting:
    """Footage whose frames are filled with their number; notes what is decoded."""

    def __init__(self, num_frames):
        self.num_frames, self.fps, self.times = num_frames, 1.0, np.arange(num_frames)
        self.decoded = []

    def frames(self, indices, *, short_side):
        assert len(indices)
        assert not self.decoded or indices[0] > self.decoded[-1], "a step back"
        self.decoded += indices.tolist()
        shape = (len(indices), short_side, short_side, 3)
        return {
            "rgb": np.broadcast_to((indices % 256).astype(np.uint8)[:, None, None, None], shape)
        }


def ring_of(trained_run, footage, windows):
    config = yaml.safe_load((trained_run / "config.yaml").read_text(encoding="utf-8"))
    transform = build(config["transform"], name="transform")
    views = Views(num_clips=2, num_crops=3, average="probabilities")
    return FrameRing(footage, transform=transform, views=views, windows=windows)


def test_every_frame_is_decoded_once_and_forgotten_in_time(trained_run):
    footage = Counting(5000)
    starts = range(0, 4960, 7)
    windows = [np.array([[s, s + 9, s + 18], [s + 20, s + 29, s + 39]]) for s in starts]
    ring = ring_of(trained_run, footage, iter(windows))
    for indices, views in zip(windows, ring, strict=True):
        assert views["rgb"].shape == (6, 3, 32, 32, 3)
        numbers = views["rgb"][::3, :, 0, 0, 0]
        np.testing.assert_array_equal(numbers, indices % 256)
    assert footage.decoded == sorted(set(np.concatenate(windows).ravel().tolist()))
    assert ring.most_kept <= 256 + 40


def test_windows_far_apart_leave_out_what_is_between(trained_run):
    footage = Counting(10**6)
    windows = [np.array([[s, s + 1]]) + np.zeros((2, 1), int) for s in range(0, 10**6, 10**4)]
    assert sum(1 for _ in ring_of(trained_run, footage, iter(windows))) == 100
    assert len(footage.decoded) == 200
