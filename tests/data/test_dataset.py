import hashlib

import numpy as np
import pyarrow as pa
import pytest
import torch

from tests.barcode import read_barcodes, write_barcodes
from tests.transforms.examples import standard
from videoclf.data.dataset import VideoDataset, collate
from videoclf.data.manifest import HASHES, Manifest
from videoclf.evaluation.views import Views
from videoclf.readers import reader_class
from videoclf.samplers.dense import DenseSampler
from videoclf.types import Sample, Unreadable


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    write_barcodes(folder / "wide.mp4", range(60), height=64, width=96)
    write_barcodes(folder / "tall.mkv", range(60), height=96, width=64)
    write_barcodes(folder / "short.mp4", range(3))
    (folder / "empty.mp4").touch()
    return folder


def dataset(folder, *, views=None, clips_per_video=1, seed=0, **transform):
    whole = {"resize_pixels": 64, "crop_pixels": 64, "scale": (1.0, 1.0), "aspect": (1.0, 1.0)}
    return VideoDataset(
        manifest=Manifest.from_columns(
            class_names=["a", "b"],
            paths=["wide.mp4", "tall.mkv", "short.mp4", "empty.mp4", "wide.mp4"],
            labels=[(0,), (1,), (0,), (1,), (1,)],
            subsets=["train"] * 5,
            starts=[None] * 4 + [1.0],
            ends=[None] * 4 + [2.0],
        ),
        folder=folder,
        open_video=reader_class("pyav"),
        sampler=DenseSampler(num_frames=8, stride=2, fps=None, padding="last"),
        transform=standard(**{**whole, **transform}),
        seed=seed,
        views=views,
        clips_per_video=clips_per_video,
    )


def whole_frames(folder, index, **settings):
    """Read clips whose crops are the whole frame, so that barcodes stay readable."""
    data = dataset(folder, **settings)
    data.transform.train_box = lambda height, width, generator: (0, 0, height, width)
    data.transform.cut = lambda frames, box, rows: frames[rows]
    return data[(0, index)]


@pytest.mark.parametrize("index", [0, 1])
def test_a_training_clip_holds_the_frames_that_the_sampler_chose(folder, index):
    sample = whole_frames(folder, index)
    assert isinstance(sample, Sample)
    numbers = read_barcodes(sample.clips["rgb"][0])
    assert np.diff(numbers).tolist() == [2] * 7
    assert sample.labels == (index,)


def test_a_short_video_repeats_its_last_frame(folder):
    sample = whole_frames(folder, 2)
    assert read_barcodes(sample.clips["rgb"][0]) == [0, 2, 2, 2, 2, 2, 2, 2]


def test_start_and_end_are_respected(folder):
    for seed in range(5):
        numbers = read_barcodes(whole_frames(folder, 4, seed=seed).clips["rgb"][0])
        assert min(numbers) >= 25
        assert max(numbers) < 50


def test_several_clips_of_one_video_differ_and_are_stacked(folder):
    clips = whole_frames(folder, 0, clips_per_video=4).clips["rgb"]
    assert clips.shape == (4, 8, 64, 96, 3)
    assert len({tuple(read_barcodes(clip)) for clip in clips}) > 1


def test_the_same_key_gives_the_same_clip(folder):
    data = dataset(folder, clips_per_video=2)
    first, again, later = data[(3, 0)], data[(3, 0)], data[(4, 0)]
    assert (first.clips["rgb"] == again.clips["rgb"]).all()
    assert (first.clips["rgb"] != later.clips["rgb"]).any()


def test_evaluation_gives_every_clip_and_crop_clips_first(folder):
    views = Views(num_clips=2, num_crops=3, average="probabilities")
    clips = dataset(folder, views=views)[(0, 0)].clips["rgb"]
    assert clips.shape == (6, 8, 64, 64, 3)
    with reader_class("pyav")(str(folder / "wide.mp4")) as reader:
        frames = reader.frames(np.arange(60))
    # clip 1 is the last one, its crop 2 the right one
    assert (clips[5] == frames[45:60:2, :, 32:]).all()
    assert (clips[0] == frames[0:15:2, :, :64]).all()


def test_ten_crops_end_with_the_mirrors_of_the_first_five(folder):
    views = Views(num_clips=2, num_crops=10, average="probabilities")
    clips = dataset(folder, views=views)[(0, 0)].clips["rgb"]
    assert clips.shape == (20, 8, 64, 64, 3)
    assert (clips[5:10] == clips[:5, :, :, ::-1]).all()
    assert (clips[15:] == clips[10:15, :, :, ::-1]).all()


def test_short_side_jitter_decodes_at_the_size_drawn(folder):
    """Crops of 16 pixels from a picture of 24 to 48 show it at that scale."""
    jitter = {"crop_pixels": 16, "short_side": (24, 48), "scale": None, "aspect": None}
    data = dataset(folder, clips_per_video=2, **jitter)
    sizes, cut = [], data.transform.cut
    data.transform.cut = lambda frames, *rest: (sizes.append(frames.shape), cut(frames, *rest))[1]
    clips = [data[(epoch, 0)].clips["rgb"] for epoch in range(12)]
    assert {clip.shape for clip in clips} == {(2, 8, 16, 16, 3)}
    short_sides = [height for _, height, _, _ in sizes]
    assert short_sides[::2] == short_sides[1::2]  # clips of one video share the decoding
    assert 24 <= min(short_sides) < 32 < 40 < max(short_sides) <= 48
    assert all(abs(width - 1.5 * height) <= 1 for _, height, width, _ in sizes)
    assert (data[(3, 0)].clips["rgb"] == clips[3]).all()
    evaluated = dataset(folder, views=Views(num_clips=1, num_crops=1, average="logits"), **jitter)
    with reader_class("pyav")(str(folder / "wide.mp4")) as reader:
        middle = reader.frames(np.arange(60))[:, 24:40, 40:56]  # the frames are 64 pixels high
    crop = evaluated[(0, 0)].clips["rgb"][0, 0]
    assert any((crop == picture).all() for picture in middle)


def test_an_unreadable_video_is_named_not_replaced(folder):
    sample = dataset(folder)[(0, 3)]
    assert isinstance(sample, Unreadable)
    assert sample.path == "empty.mp4"
    assert "empty" in sample.reason


def test_a_video_with_other_content_than_its_hash_is_named(folder):
    data = dataset(folder)
    right = hashlib.sha256((folder / "wide.mp4").read_bytes()).digest()
    for sha256, kind in ((right, Sample), (bytes(32), Unreadable)):
        column = pa.array([sha256, None, None, None, None], HASHES.type)
        table = data.manifest.table.append_column(HASHES, column)
        hashed = dataset(folder)
        hashed.manifest = Manifest(table, data.manifest.class_names)
        assert isinstance(hashed[(0, 0)], kind)
        assert isinstance(hashed[(0, 1)], Sample)  # it has no hash
    assert "its content is not what the manifest says" in hashed[(0, 0)].reason
    hashed.verify_hashes = "never"
    assert isinstance(hashed[(0, 0)], Sample)


def test_collating_lists_the_unreadable_beside_the_others(folder):
    data = dataset(folder, clips_per_video=2)
    batch = collate([data[(5, 0)], data[(5, 3)], data[(5, 2)]])
    assert batch.inputs["rgb"].shape == (2, 2, 8, 64, 64, 3)
    assert batch.inputs["rgb"].dtype == torch.uint8
    assert batch.labels.tolist() == [[0], [0]]
    assert batch.indices.tolist() == [0, 2]
    assert batch.epochs.tolist() == [5, 5]
    assert batch.num_views == 2
    assert [record.path for record in batch.unreadable] == ["empty.mp4"]


def test_a_batch_of_nothing_readable_is_empty(folder):
    batch = collate([dataset(folder)[(0, 3)]])
    assert len(batch) == 0
    assert len(batch.unreadable) == 1


def test_several_labels_are_padded():
    samples = [
        Sample({"rgb": np.zeros((1, 1, 2, 2, 3), np.uint8)}, labels, 0, row)
        for row, labels in enumerate([(1,), (0, 2)])
    ]
    assert collate(samples).labels.tolist() == [[1, -1], [0, 2]]
