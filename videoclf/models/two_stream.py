"""Two streams in one network: one sees frames, one sees optical flow, trained together.

When to use it: where appearance and motion both matter and one training is to weigh them. Trained
apart and averaged at test time (`evaluate.py 'checkpoint=[rgb.ckpt,flow.ckpt]'`) the streams cannot
lean on one another, which on small data is often the better way.

    f = CNN_rgb(x),   g = CNN_flow(u_1, v_1, ..., u_L, v_L)

    average        p = (softmax(A f + b) + softmax(B g + b)) / 2
    concatenation  logits = A f + B g + b
    convolution    logits = C mean_{h,w} ReLU(W * [F; G]) + c,  F and G the last maps

Sources: Simonyan & Zisserman 2014, "Two-Stream Convolutional Networks for Action Recognition in
Videos" (average); Feichtenhofer et al. 2016, "Convolutional Two-Stream Network Fusion for Video
Action Recognition", section 3.1 (concatenation and convolution).
"""

from __future__ import annotations

import torch
from torch import nn

from videoclf.models.blocks.backbone_2d import create_backbone, feature_shape, frame_maps
from videoclf.models.blocks.clip_shape import check_clip
from videoclf.models.blocks.stacked_frames import load_spread_weights, stack_frames
from videoclf.models.temporal_stream import spread_over_fields

FUSIONS = ("average", "concatenation", "convolution")
SPATIAL_FRAMES = ("middle", "all")


class TwoStream(nn.Module):
    """A 2D CNN on frames and one on stacked flow, fused.

    Args:
        num_classes: K.
        num_frames: T = L, frames and flow fields of a clip.
        image_size: height and width of the crops.
        backbone: any 2D model of timm, such as `resnet50`; each stream has one of its own.
        pretrained: start both from timm's published weights (needs them cached, or the network).
        spatial_frames: `middle` shows the spatial stream one frame, `all` averages over all.
        fusion: average, concatenation or convolution.
        dropout: before the classifier.

    Raises:
        ValueError: timm has no such backbone, or an unknown choice.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        num_frames: int,
        image_size: int,
        backbone: str,
        pretrained: bool,
        spatial_frames: str,
        fusion: str,
        dropout: float,
    ) -> None:
        super().__init__()
        if fusion not in FUSIONS:
            raise ValueError(f"model.fusion={fusion!r} must be one of {', '.join(FUSIONS)}")
        if spatial_frames not in SPATIAL_FRAMES:
            raise ValueError(
                f"model.spatial_frames={spatial_frames!r} must be one of "
                f"{', '.join(SPATIAL_FRAMES)}"
            )
        self.num_frames = num_frames
        self.spatial_frames = spatial_frames
        self.fusion = fusion
        pooled = fusion != "convolution"
        self.spatial = create_backbone(
            backbone, pretrained=pretrained, image_size=image_size, pooled=pooled
        )
        self.temporal = create_backbone(
            backbone,
            pretrained=False,
            image_size=image_size,
            channels=2 * num_frames,
            pooled=pooled,
        )
        if pretrained:
            load_spread_weights(
                self.temporal,
                self.spatial.state_dict(),
                lambda flat: spread_over_fields(flat, num_frames),
            )
        width = feature_shape(self.spatial, name=backbone, image_size=image_size)[0]
        if fusion == "convolution":
            self.fuse_maps = nn.Sequential(
                nn.Conv2d(2 * width, width, kernel_size=3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            )
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width if fusion == "convolution" else 2 * width, num_classes)

    def features(self, rgb: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
        """Encode frames (B, 3, T, H, W) and flow (B, 2, T, H, W) -> both features (B, D)."""
        check_clip(rgb, num_frames=self.num_frames)
        check_clip(flow, num_frames=self.num_frames, channels=2)
        moving = frame_maps(self.temporal, stack_frames(flow))  # (B, D) or (B, D, H', W')
        if self.spatial_frames == "middle":
            still = frame_maps(self.spatial, rgb[:, :, self.num_frames // 2])  # as above
        else:
            frames = rgb.transpose(1, 2).flatten(0, 1)  # (B * T, 3, H, W)
            still = frame_maps(self.spatial, frames).unflatten(0, (len(rgb), -1)).mean(1)
        joined = torch.cat([still, moving], dim=1)  # (B, 2 D) or (B, 2 D, H', W')
        if self.fusion == "convolution":
            pooled: torch.Tensor = self.fuse_maps(joined).mean((2, 3))  # (B, D)
            return pooled
        return joined

    def forward(self, rgb: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
        """Classify frames (B, 3, T, H, W) with flow (B, 2, T, H, W) -> logits (B, K)."""
        features = self.dropout(self.features(rgb, flow))
        if self.fusion != "average":
            logits: torch.Tensor = self.classifier(features)  # (B, K)
            return logits
        return average_of_streams(features, self.classifier)


def average_of_streams(features: torch.Tensor, classifier: nn.Linear) -> torch.Tensor:
    """Classify each half of the features by its half of the classifier; average probabilities.

    Args:
        features: (B, 2 D), the spatial stream's first.
        classifier: 2 D -> K; both streams share its bias.

    Returns:
        (B, K), whose softmax is the averaged probabilities.
    """
    halves = zip(features.chunk(2, dim=1), classifier.weight.chunk(2, dim=1), strict=True)
    log_probabilities = [
        torch.nn.functional.linear(half, weight, classifier.bias).log_softmax(-1)
        for half, weight in halves
    ]
    return torch.stack(log_probabilities).logsumexp(0)  # + log 2, which no softmax sees
