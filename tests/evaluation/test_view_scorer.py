"""Each distinct frame encoded once, and the logits of the plain path, on real encoded videos."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from tests.barcode import write_barcodes
from tests.models.contract import configured, randomize_norms
from tests.transforms.examples import standard
from videoclf.data.dataset import VideoDataset, collate
from videoclf.data.manifest import Manifest
from videoclf.errors import ConfigError
from videoclf.evaluation.inference import Inference
from videoclf.evaluation.view_scorer import ViewScorer, can_share_frames
from videoclf.evaluation.views import Views
from videoclf.readers.pyav import PyavReader
from videoclf.samplers.dense import DenseSampler

VIEWS = Views(num_clips=5, num_crops=3, average="probabilities")
FRAME_WISE = {
    "single_frame": {},
    "late_fusion_pool": {"pooling": "attention"},
    "late_fusion_fc": {"num_frames": 4},
    "cnn_rnn": {"num_frames": 4},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for number, length in enumerate((9, 40, 3)):
        write_barcodes(folder / f"{number}.mp4", range(length))
    return folder


def batches(folder, *, share_frames):
    data = VideoDataset(
        manifest=Manifest.from_columns(
            class_names=["a"],
            paths=[f"{number}.mp4" for number in range(3)],
            labels=[(0,)] * 3,
            subsets=["test"] * 3,
        ),
        folder=folder,
        open_video=PyavReader,
        sampler=DenseSampler(num_frames=4, stride=1, fps=None, padding="last"),
        transform=standard(resize_pixels=32, crop_pixels=32),
        seed=0,
        views=VIEWS,
        share_frames=share_frames,
    )
    for rows in ((0, 1), (2,)):
        batch = collate([data[(0, row)] for row in rows])
        yield data.transform.on_device(batch, seed=0, train=False)


def frame_wise(name):
    torch.manual_seed(0)
    settings = {"num_classes": 3, "image_size": 32, "backbone": "test_resnet", "pretrained": False}
    return randomize_norms(configured(name, **{**settings, **FRAME_WISE[name]})).eval()


@pytest.mark.parametrize("name", FRAME_WISE)
def test_sharing_frames_changes_no_logits_and_encodes_each_distinct_frame_once(folder, name):
    model = frame_wise(name)
    seen = []
    model.cnn.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    logits = {}
    with torch.inference_mode():
        for share_frames in (False, True):
            seen.clear()
            scorer, done = ViewScorer(model, views_at_once=4), []
            for batch in batches(folder, share_frames=share_frames):
                done += scorer.add(batch)
            done += scorer.rest()
            logits[share_frames] = torch.cat([each for _, each in done])
            assert torch.cat([batch.indices for batch, _ in done]).tolist() == [0, 1, 2]
            assert all(not batch.inputs for batch, _ in done)
            encoded = sum(seen)
            # the clip that is held against `forward` is encoded once more
            distinct = 3 * (9 + 20 + 3) + 4
            assert encoded == (distinct if share_frames else 3 * 15 * 4)
    assert logits[True].shape[:2] == (3, 15)
    assert torch.allclose(logits[True], logits[False], atol=1e-6)
    assert logits[True].std(dim=1).max() > 1e-4  # views differ, so that a mix-up would show


def test_shared_frames_put_together_are_the_clips_that_are_read_without(folder):
    for plain, shared in zip(
        batches(folder, share_frames=False), batches(folder, share_frames=True), strict=True
    ):
        frames = shared.inputs["rgb"][0].transpose(0, 1)
        clips = frames[shared.frame_rows.flatten(0, 1)].transpose(1, 2)
        assert torch.equal(clips, plain.inputs["rgb"])
        assert torch.equal(plain.motion, shared.motion)
        assert (len(shared), shared.num_views) == (len(plain), plain.num_views)


class Neighbours(nn.Module):
    """Says that it encodes frames one by one, and does not: the whole clip's mean is taken off."""

    def encode_frames(self, frames):
        return frames.mean((2, 3))

    def fuse(self, features):
        return features.mean(1)

    def forward(self, rgb):
        return 10 * rgb.mean((2, 3, 4))


def test_a_network_whose_forward_is_another_is_refused(folder):
    scorer = ViewScorer(Neighbours(), views_at_once=1000)
    for batch in batches(folder, share_frames=True):
        scorer.add(batch)
    with pytest.raises(ConfigError, match=r"inference\.share_frames=false"):
        scorer.rest()


def test_sharing_is_by_default_where_it_can_be_and_refused_where_it_cannot():
    late, slow = frame_wise("late_fusion_pool"), configured("slow_fusion", num_classes=3)
    steps = configured("cnn_rnn", num_classes=3, num_frames=4, image_size=32, frames_per_step=2)
    several = SimpleNamespace(modalities=("rgb",), views={"test": VIEWS})
    single = Views(num_clips=1, num_crops=3, average="probabilities")
    one = SimpleNamespace(modalities=("rgb",), views={"test": single})
    default, wanted = Inference(), Inference(share_frames=True)
    assert default.shares_frames(late, several)
    assert not default.shares_frames(late, one)
    assert not default.shares_frames(slow, several)
    assert not can_share_frames(steps)
    assert not Inference(share_frames=False).shares_frames(late, several)
    with pytest.raises(ConfigError, match=r"SlowFusion on data.modalities=\['rgb'\]"):
        wanted.shares_frames(slow, several)


def test_numpy_rows_of_a_sample_are_positions_of_its_frames(folder):
    (first, _) = batches(folder, share_frames=True)
    rows = first.frame_rows.numpy()
    assert rows.shape == (2, 15, 4)
    assert np.array_equal(np.unique(rows), np.arange(first.inputs["rgb"].shape[2]))
