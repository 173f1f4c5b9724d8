"""3D ResNets: C2D, I3D and Slow, with and without non-local blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from videoclf.errors import CheckpointError
from videoclf.models.blocks.torchvision_weights import KeyMap
from videoclf.models.blocks.transformers_weights import under_our_names
from videoclf.weights.key_maps import Fit, Translate, Weights

#: A bottleneck of pytorchvideo's.
PYTORCHVIDEO_BLOCK: KeyMap = (
    (r"\.res_blocks\.", ".blocks."),
    (r"\.branch1_conv\.", ".downsample.0."),
    (r"\.branch1_norm\.", ".downsample.1."),
    (r"\.branch2\.conv_a\.", ".conv1."),
    (r"\.branch2\.conv_b\.", ".conv2."),
    (r"\.branch2\.conv_c\.", ".conv3."),
    (r"\.branch2\.norm_a\.", ".bn1."),
    (r"\.branch2\.norm_b\.", ".bn2."),
    (r"\.branch2\.norm_c\.", ".bn3."),
)
#: The head's place in its list of blocks -> those of res2 to res5: a pool, where there is
#: one, stands between res2 and res3.
PYTORCHVIDEO_STAGES = {"5": "1234", "6": "1345"}
#: A bottleneck of PySlowFast's, and a non-local block.
PYSLOWFAST_BLOCK: KeyMap = (
    (r"\.branch1\.", ".downsample.0."),
    (r"\.branch1_bn\.", ".downsample.1."),
    (r"\.branch2\.a\.", ".conv1."),
    (r"\.branch2\.b\.", ".conv2."),
    (r"\.branch2\.c\.", ".conv3."),
    (r"\.branch2\.a_bn\.", ".bn1."),
    (r"\.branch2\.b_bn\.", ".bn2."),
    (r"\.branch2\.c_bn\.", ".bn3."),
    (r"(\.non_local\.\d+)\.conv_(theta|phi|g)\.", r"\1.\2."),
    (r"(\.non_local\.\d+)\.conv_out\.", r"\1.output."),
    (r"(\.non_local\.\d+)\.bn\.", r"\1.norm."),
)
PYSLOWFAST_KEYS: KeyMap = (
    (r"^s1\.pathway0_stem\.conv\.", "stem.conv1."),
    (r"^s1\.pathway0_stem\.bn\.", "stem.bn1."),
    (r"^s([2-5])\.pathway0_res(\d+)\.", r"res\1.blocks.\2."),
    (r"^s([2-5])\.pathway0_nonlocal(\d+)\.", r"res\1.non_local.\2."),
    *PYSLOWFAST_BLOCK,
    (r"^head\.projection\.", "classifier."),
)
#: A bottleneck of MMAction2's, and a non-local block; where it pools, its layers stand in lists.
MMACTION_BLOCK: KeyMap = (
    (r"\.conv([123])\.conv\.", r".conv\1."),
    (r"\.conv([123])\.bn\.", r".bn\1."),
    (r"\.downsample\.conv\.", ".downsample.0."),
    (r"\.downsample\.bn\.", ".downsample.1."),
    (r"(\.non_local\.\d+)\.(theta|phi|g)\.(0\.)?conv\.", r"\1.\2."),
    (r"(\.non_local\.\d+)\.conv_out\.conv\.", r"\1.output."),
    (r"(\.non_local\.\d+)\.conv_out\.bn\.", r"\1.norm."),
)
_MMACTION_STAGES: KeyMap = tuple((rf"^backbone\.layer{i}\.", f"res{i + 1}.") for i in range(1, 5))
MMACTION_KEYS: KeyMap = (
    (r"^backbone\.conv1\.", "stem.conv1."),
    *_MMACTION_STAGES,
    (r"^(res[2-5])\.(\d+)\.non_local_block\.", r"\1.non_local.\2."),
    (r"^(res[2-5])\.(\d+)\.", r"\1.blocks.\2."),
    *MMACTION_BLOCK,
    (r"^cls_head\.fc_cls\.", "classifier."),
)


def pytorchvideo(weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:  # noqa: ARG001
    """Of slow_r50, c2d_r50 or i3d_r50."""
    head = next(
        (place for place in PYTORCHVIDEO_STAGES if f"blocks.{place}.proj.bias" in weights), "5"
    )
    stages = PYTORCHVIDEO_STAGES[head]
    keys: KeyMap = (
        (r"^blocks\.0\.conv\.", "stem.conv1."),
        (r"^blocks\.0\.norm\.", "stem.bn1."),
        *(
            (rf"^blocks\.{block}\.res_blocks\.", f"res{stage}.res_blocks.")
            for stage, block in enumerate(stages, 2)
        ),
        *PYTORCHVIDEO_BLOCK,
        (rf"^blocks\.{head}\.proj\.", "classifier."),
    )
    return under_our_names(weights, keys)


def pyslowfast(weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:  # noqa: ARG001
    """Of its ResNet: C2D, I3D or Slow."""
    return under_our_names(weights, PYSLOWFAST_KEYS)


def mmaction(weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:
    """Of ResNet3dSlowOnly; and of TSN's ResNet, whose 2D filters see one frame.

    Raises:
        CheckpointError: of a network that computes something else.
    """
    refuse_unlike(weights, model)
    clips = {
        name: value.unsqueeze(2) if value.ndim == 4 else value  # (O, I, H, W) -> (O, I, 1, H, W)
        for name, value in weights.items()
    }
    found = under_our_names(clips, MMACTION_KEYS)
    for name in list(found):  # a bias in front of a norm, which MMAction2 leaves out
        if name.endswith(".output.weight"):
            found.setdefault(
                name.replace("weight", "bias"), found[name].new_zeros(len(found[name]))
            )
    return found


def refuse_unlike(weights: Weights, model: nn.Module) -> None:
    """Refuse networks of MMAction2 that share their names with those that fit, and differ."""
    first = weights.get("backbone.conv1.conv.weight")
    reason = None
    if first is not None and first.ndim == 5 and first.shape[2] > 1:
        reason = (
            "MMAction2's I3D strides over time in its first convolution and pooling "
            "(conv1_stride_t=2, pool1_stride_t=2), where ResNet3D keeps every frame; take "
            "PyTorchVideo's, pytorchvideo:i3d_r50"
        )
    elif first is not None and first.ndim == 4 and getattr(model, "temporal_pool", 1) > 1:
        reason = (
            "2D filters are those of MMAction2's TSN, which pools over no frames (set "
            "model.temporal_pool=1), or of its C2D, whose first pooling has no padding; take "
            "PyTorchVideo's, pytorchvideo:c2d_r50"
        )
    elif any(".non_local_block.phi.0." in name for name in weights):
        reason = (
            "MMAction2's non-local blocks with sub_sample=True pool what they have projected, and "
            "ResNet3D projects what it has pooled; take a network without them"
        )
    if reason is not None:
        raise CheckpointError(f"these weights would load and give other scores: {reason}")


LAYOUTS: Mapping[str, Translate] = {
    "pytorchvideo": pytorchvideo,
    "pyslowfast": pyslowfast,
    "mmaction": mmaction,
}
FITS: Sequence[Fit] = ()
