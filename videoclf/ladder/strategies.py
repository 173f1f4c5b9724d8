"""The rows of the ladder: one spatial trunk, tiny_cnn, and every way of fusing time around it.

A strategy is overrides of the ordinary config. Parameters lie between 34 and 66 thousand, within
a factor of two; all see the same clips in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass

_TINY = "model.backbone=tiny_cnn"
_FLAT = "model.temporal_kernels={layer1:1,layer2:1,layer3:1,layer4:1}"


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """A way of fusing time.

    Args:
        name: of the row; also, with underscores, of its runs' folders.
        overrides: of the config, `model=` first.
        blind: what it cannot see by construction: "order" (any permutation of the frames gives
            the same scores), "reversal" (the clip backwards does), or nothing.
        window_frames: R, the frames that influence one score before a symmetric average over time;
            None where there is no such average, or where it is as long as the clip.
        stride_frames: by which windows follow one another.
        absolute: frames are known by their number; what is learnt at one time is not known at
            another.
    """

    name: str
    overrides: tuple[str, ...]
    blind: str = ""
    window_frames: int | None = None
    stride_frames: int = 1
    absolute: bool = False

    @property
    def folder_name(self) -> str:
        """The name in letters, digits and underscores."""
        letters = (letter if letter.isalnum() else " " for letter in self.name.lower())
        return "_".join("".join(letters).split())


STRATEGIES = (
    Strategy(name="single frame", overrides=("model=single_frame", _TINY), blind="order"),
    Strategy(
        name="late fusion, average + MLP",
        overrides=("model=late_fusion_pool", _TINY, "model.hidden=[48]"),
        blind="order",
    ),
    Strategy(
        name="late fusion, max",
        overrides=("model=late_fusion_pool", _TINY, "model.pooling=max"),
        blind="order",
    ),
    Strategy(
        name="late fusion, attention",
        overrides=("model=late_fusion_pool", _TINY, "model.pooling=attention"),
        blind="order",
    ),
    Strategy(
        name="C2D + non-local",
        overrides=(
            "model=inflated_tiny",
            _FLAT,
            "model.temporal_strides={layer2:1}",
            "model.non_local_after=[layer3]",
        ),
        blind="order",
    ),
    Strategy(
        name="C2D, pooled in pairs",
        overrides=("model=inflated_tiny", _FLAT, "model.temporal_strides={layer2:1,pool:2}"),
        blind="reversal",
        window_frames=2,
        stride_frames=2,
    ),
    Strategy(
        name="late fusion, convolution",
        overrides=("model=late_fusion_pool", _TINY, "model.pooling=conv"),
        window_frames=3,
    ),
    Strategy(
        name="late fusion, FC",
        overrides=("model=late_fusion_fc", _TINY, "model.map_channels=8", "model.hidden=[24]"),
        absolute=True,
    ),
    Strategy(name="early fusion", overrides=("model=early_fusion", _TINY), absolute=True),
    Strategy(name="3D CNN", overrides=("model=inflated_tiny",), window_frames=9, stride_frames=2),
    Strategy(
        name="3D CNN, circular in time",
        overrides=("model=inflated_tiny", "model.time_padding=circular"),
        window_frames=9,
        stride_frames=2,
    ),
    Strategy(
        name="3D CNN + non-local",
        overrides=("model=inflated_tiny", "model.non_local_after=[layer3]"),
        window_frames=9,
        stride_frames=2,
    ),
    Strategy(
        name="SlowFast",
        overrides=("model=slowfast_small", "model.width=4", "model.lateral_ratio=1"),
    ),
    Strategy(
        name="CNN + LSTM",
        overrides=("model=cnn_rnn", _TINY, "model.map_channels=16", "model.hidden_size=40"),
    ),
    Strategy(
        name="CNN + LSTM, pooled maps",
        overrides=(
            "model=cnn_rnn",
            _TINY,
            "model.map_channels=null",
            "model.keep_map=false",
            "model.hidden_size=64",
        ),
    ),
    Strategy(
        name="recurrent CNN",
        overrides=("model=recurrent_cnn", "model.widths=[12,24,24]", "model.kernel_size=3"),
    ),
    Strategy(
        name="ViViT",
        overrides=(
            "model=vivit_small",
            "model.width=36",
            "model.depth=2",
            "model.temporal_depth=2",
        ),
    ),
    Strategy(
        name="TimeSformer",
        overrides=("model=timesformer_small", "model.width=40", "model.depth=2"),
    ),
)

#: One of each family: the rows of `videoclf ladder --quick`.
QUICK_STRATEGIES = tuple(
    strategy
    for strategy in STRATEGIES
    if strategy.name
    in (
        "single frame",
        "late fusion, average + MLP",
        "late fusion, FC",
        "early fusion",
        "3D CNN",
        "3D CNN + non-local",
        "SlowFast",
        "CNN + LSTM",
        "recurrent CNN",
        "ViViT",
    )
)
