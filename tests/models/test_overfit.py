"""Every strategy learns 16 clips of moving shapes by heart, two of each motion.

Each clip has a shape and a place of its own, so that who ignores the order of the frames can
learn them, too.
"""

import functools

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.models.contract import configured
from videoclf.generated.moving_shapes import MOTIONS, sample_clip
from videoclf.generated.shapes import draw_frames

NUM_CLIPS, NUM_FRAMES, PIXELS = 16, 8, 32
MAX_STEPS = 150
FRAME_CNN = {"backbone": "test_resnet"}
EIGHTEEN = {"widths": [8, 16, 32, 64], "blocks": [1, 1, 1, 1]}
SMALL = {
    "single_frame": ("single_frame", FRAME_CNN),
    "late_fusion_fc": ("late_fusion_fc", {**FRAME_CNN, "map_channels": 32, "hidden": [64]}),
    "late_fusion_average": ("late_fusion_pool", FRAME_CNN),
    "late_fusion_max": ("late_fusion_pool", {**FRAME_CNN, "pooling": "max"}),
    "late_fusion_attention": ("late_fusion_pool", {**FRAME_CNN, "pooling": "attention"}),
    "late_fusion_conv": ("late_fusion_pool", {**FRAME_CNN, "pooling": "conv"}),
    "early_fusion": ("early_fusion", FRAME_CNN),
    "slow_fusion": ("slow_fusion", {}),
    "temporal_difference": ("temporal_difference", {"temporal_strides": [1, 2, 2, 1]}),
    "karpathy_slow": (
        "karpathy_slow",
        {
            "widths": [16, 32, 32, 32, 32],
            "hidden": [64, 64],
            "temporal_strides": [2, 1, 1, 1, 1],
            "dropout": 0.0,
        },
    ),
    "c3d": (
        "c3d_small",
        {
            "widths": [8, 16, 32, 32, 32],
            "hidden": [64, 64],
            "temporal_pools": [1, 2, 2, 2, 1],
            "dropout": 0.0,
        },
    ),
    "r3d": ("r3d_18", EIGHTEEN),
    "mc3": ("mc3_18", EIGHTEEN),
    "r2plus1d": ("r2plus1d_18", EIGHTEEN),
    "resnet_3d": ("resnet_3d_small", {}),
    "s3d": ("s3d", {"dropout": 0.0}),
    "i3d": ("i3d", {"width_multiplier": 0.125, "dropout": 0.0}),
    "inflated": ("inflated", FRAME_CNN),
    "non_local": ("resnet_3d_small", {"non_local_places": [["res3", 0]]}),
    "cnn_lstm": ("cnn_rnn", FRAME_CNN),
    "cnn_gru": ("cnn_rnn", {**FRAME_CNN, "sequence": "gru"}),
    "cnn_conv_lstm": ("cnn_rnn", {**FRAME_CNN, "sequence": "conv_lstm"}),
    "cnn_temporal_conv": ("cnn_rnn", {**FRAME_CNN, "sequence": "temporal_conv"}),
    "cnn_transformer": ("cnn_rnn", {**FRAME_CNN, "sequence": "transformer"}),
    "recurrent_cnn": ("recurrent_cnn", {}),
    "gru_rcn": ("gru_rcn", {**FRAME_CNN, "widths": [8, 16, 16, 32, 32], "dropout": 0.0}),
    "slowfast": ("slowfast_small", {}),
    "timesformer": ("timesformer_small", {}),
    "vivit": ("vivit_small", {}),
    "mvit": ("mvit_small", {}),
    "swin3d": ("swin3d_small", {}),
    "videomae": ("videomae_small", {}),
    "x3d": ("x3d_xs", {"depths": [1, 1, 1, 1], "dropout": 0.0}),
}
LONG = ("timesformer", "mvit", "s3d")


@functools.cache
def clips_and_labels():
    """The 16 clips, float (16, 3, T, H, W) in about [-2, 2], and their motions."""
    labels = torch.arange(NUM_CLIPS) % len(MOTIONS)
    clips = []
    for number, label in enumerate(labels):
        appearance, states = sample_clip((0, 0, number), MOTIONS[label], NUM_FRAMES)
        clips.append(draw_frames(appearance, states, PIXELS))  # (T, H, W, 3)
    pixels = torch.from_numpy(np.stack(clips)).permute(0, 4, 1, 2, 3)
    return (pixels / 255 - 0.45) / 0.225, labels


@pytest.mark.parametrize(
    "strategy",
    [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in SMALL],
)
def test_16_clips_are_learnt_by_heart(strategy):
    name, changes = SMALL[strategy]
    clips, labels = clips_and_labels()
    model = configured(
        name, num_classes=len(MOTIONS), num_frames=NUM_FRAMES, image_size=PIXELS, **changes
    )
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=3e-3)
    correct = 0
    for _ in range(MAX_STEPS):
        logits = model(clips)  # (16, 8) or (16, S, 8)
        scores = logits.softmax(-1).mean(1) if logits.ndim == 3 else logits
        correct = int((scores.argmax(1) == labels).sum())
        if correct == NUM_CLIPS:
            break
        each = labels.repeat_interleave(logits.shape[1]) if logits.ndim == 3 else labels
        optimizer.zero_grad()
        F.cross_entropy(logits.flatten(0, -2), each).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    assert correct == NUM_CLIPS, f"{strategy} knows {correct} of {NUM_CLIPS} clips"
