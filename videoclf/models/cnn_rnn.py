"""CNN + RNN: a 2D CNN reads each frame, a sequence net reads the CNN's features in their order.

When to use it: for long clips whose meaning lies in the order of what is seen, above all with a
good CNN for images, which then may stay frozen.

    m_t = P CNN(x_t),   s_1..s_S = sequence(m_1..m_S),   s = summary(s_1..s_S)
    outputs=last    logits = W s + b            many to one, (B, K)
    outputs=every   logits_t = W s_t + b        many to many, (B, S, K)

P is a 1x1 convolution to fewer channels. m_t keeps the CNN's map by default: an average over
space forgets where things are, and with it every motion that does not change what is seen. The
sequence net is one of

    lstm, gru       h_t = f(h_{t-1}, vec m_t)
    conv_lstm       the same on maps, averaged over space at the end
    temporal_conv   causal dilated convolutions over time with residuals (dilations 1, 2, 4, ...)
    transformer     causal self-attention over the steps, with sine positions

`bidirectional` lets every step see the whole clip: RNNs also run backwards, convolutions centre
their windows, attention drops its mask. With `frames_per_step` n above 1 the CNN is inflated and
a step is a clip of n frames. A frozen CNN runs in evaluation mode, without a graph, a few frames
at a time: its memory does not grow with the clip. With `feature_cache` it runs once for each frame
that is met, and later epochs read its features from disk.

Measured: a step on one clip of 64, 128, 256, 512 frames of 64 pixels (resnet10t, GRU) adds 49, 48,
82, 84 MB to the process with a frozen CNN and 136, 295, 535, 1029 MB with one that learns
(`python -m tests.models.frozen_memory 512 true`, 2026-11-20, 2 shared CPU cores).

Sources: Donahue et al. 2015, "Long-term Recurrent Convolutional Networks" (LRCN); Ng et al. 2015,
"Beyond Short Snippets"; Shi et al. 2015 (ConvLSTM); Bai et al. 2018 (temporal convolution);
Vaswani et al. 2017 (transformer); forget bias: Jozefowicz et al. 2015.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from videoclf.models.blocks.backbone_2d import create_backbone, feature_shape, frame_maps
from videoclf.models.blocks.clip_shape import check_clip, check_num_frames
from videoclf.models.blocks.feature_store import FeatureStore, hash_weights
from videoclf.models.blocks.sequence_nets import (
    ConvLSTM,
    SequenceNet,
    TemporalConvolution,
    TemporalTransformer,
    VectorRNN,
)
from videoclf.models.inflation import inflate
from videoclf.value_types import Count

OUTPUTS = ("last", "every")


class CNNRNN(nn.Module):
    """A CNN on each step of a clip, a sequence net over the steps.

    Args:
        num_classes: K.
        num_frames: T of the clips, checked against `frames_per_step`.
        image_size: height and width of the crops, which fix the size of the maps.
        backbone: any 2D model of timm, such as `resnet50` or `resnet50.a1_in1k`.
        pretrained: load timm's published weights (needs them cached, or the network).
        frozen: keep the CNN in evaluation mode, without gradients.
        frames_at_once: a frozen CNN sees at most so many steps at a time.
        feature_cache: file that keeps a frozen CNN's features, for training without spatial
            augmentation; null keeps none.
        frames_per_step: 1 for a frame a step; above 1 the CNN is inflated, a step is a short clip.
        keep_map: keep the CNN's map instead of its average over space.
        map_channels: to which P reduces it; null leaves P out.
        sequence: lstm, gru, conv_lstm, temporal_conv or transformer.
        hidden_size: width of the sequence net, of each direction for RNNs.
        num_layers: of the sequence net.
        num_heads: of the transformer.
        kernel_size: of conv_lstm in space and of temporal_conv in time, an odd number.
        bidirectional: let every step see the whole clip.
        forget_gate_bias: at which an LSTM's forget gates start; null leaves them at random. The
            other nets have no such gate.
        outputs: `last` or `every`.
        dropout: inside the sequence net and before the classifier.

    Raises:
        ValueError: an unknown backbone, sequence net or kind of output, or numbers that do not fit.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        num_frames: int,
        image_size: int,
        backbone: str,
        pretrained: bool,
        frozen: bool,
        frames_at_once: int,
        feature_cache: str | None,
        frames_per_step: int,
        keep_map: bool,
        map_channels: Count | None,
        sequence: str,
        hidden_size: Count,
        num_layers: Count,
        num_heads: Count,
        kernel_size: int,
        bidirectional: bool,
        forget_gate_bias: float | None,
        outputs: str,
        dropout: float,
    ) -> None:
        super().__init__()
        if outputs not in OUTPUTS:
            raise ValueError(f"model.outputs={outputs!r} is none of {', '.join(OUTPUTS)}")
        if frames_at_once < 1:
            raise ValueError(f"model.frames_at_once={frames_at_once} must be at least 1")
        if feature_cache is not None and not frozen:
            raise ValueError(
                f"model.feature_cache={feature_cache} keeps what a CNN that learns would change; "
                "set model.frozen=true, or model.feature_cache=null"
            )
        check_num_frames(
            num_frames,
            min_frames=frames_per_step,
            reason=f"model.frames_per_step={frames_per_step}",
        )
        self.frozen, self.frames_at_once = frozen, frames_at_once
        self.frames_per_step, self.outputs = frames_per_step, outputs
        cnn = create_backbone(
            backbone, pretrained=pretrained, image_size=image_size, pooled=not keep_map
        )
        shape = feature_shape(cnn, name=backbone, image_size=image_size)
        channels, height, width = shape if keep_map else (shape[0], 1, 1)
        if frames_per_step > 1:
            cnn = inflate(cnn, temporal_kernels={"": 3}, temporal_strides={})
        self.cnn = cnn.requires_grad_(not frozen)
        self.project: nn.Module = nn.Identity()
        if map_channels is not None:
            self.project = nn.Conv2d(channels, map_channels, kernel_size=1)
            channels = map_channels
        self.feature_cache = None if feature_cache is None else FeatureStore(Path(feature_cache))
        self._network: str | None = None  # hash of the CNN, once it is needed
        self.register_load_state_dict_post_hook(CNNRNN._forget_network)  # type: ignore[no-untyped-call]
        self.map_shape = (channels, height, width)
        inputs = math.prod(self.map_shape)
        nets: dict[str, Callable[[], SequenceNet]] = {
            "lstm": lambda: VectorRNN(
                nn.LSTM, inputs, hidden_size, num_layers, bidirectional, dropout, forget_gate_bias
            ),
            "gru": lambda: VectorRNN(
                nn.GRU, inputs, hidden_size, num_layers, bidirectional, dropout, None
            ),
            "conv_lstm": lambda: ConvLSTM(
                channels, hidden_size, num_layers, kernel_size, bidirectional, forget_gate_bias
            ),
            "temporal_conv": lambda: TemporalConvolution(
                inputs, hidden_size, num_layers, kernel_size, bidirectional, dropout
            ),
            "transformer": lambda: TemporalTransformer(
                inputs, hidden_size, num_layers, num_heads, bidirectional, dropout
            ),
        }
        if sequence not in nets:
            raise ValueError(f"model.sequence={sequence!r} is none of {', '.join(nets)}")
        self.sequence = nets[sequence]()
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(self.sequence.outputs, num_classes)
        self.train()

    def train(self, mode: bool = True) -> CNNRNN:
        """Switch to training, a frozen CNN excepted."""
        super().train(mode)
        if self.frozen:
            self.cnn.eval()
        return self

    def encode_frames(self, frames: torch.Tensor) -> torch.Tensor:
        """Encode steps: frames (N, 3, H, W), or clips (N, 3, n, H, W) where `frames_per_step` > 1.

        Returns:
            Features (N, C, H', W'), or (N, C) without `keep_map`; without a graph if frozen.
        """
        if not self.frozen:
            return self._encode(frames)
        with torch.no_grad():
            if self.feature_cache is None:
                return self._encode_in_chunks(frames)
            self._network = self._network or hash_weights(self.cnn)
            return self.feature_cache.features(frames, self._network, self._encode_in_chunks)

    def fuse(self, features: torch.Tensor) -> torch.Tensor:
        """Fuse the features of all steps (B, S, C[, H', W']) -> logits (B, K) or (B, S, K)."""
        steps, summary = self._read(features)
        found = summary if self.outputs == "last" else steps
        logits: torch.Tensor = self.classifier(self.dropout(found))
        return logits

    def features(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> (B, D): the summary, or the mean of every step."""
        steps, summary = self._read(self._encode_clips(rgb))
        return summary if self.outputs == "last" else steps.mean(dim=1)

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Classify clips (B, 3, T, H, W) -> logits (B, K) or (B, S, K), S = T / frames_per_step."""
        return self.fuse(self._encode_clips(rgb))

    def _forget_network(self, _: object) -> None:
        self._network = None

    def _encode_in_chunks(self, frames: torch.Tensor) -> torch.Tensor:
        return torch.cat([self._encode(few) for few in frames.split(self.frames_at_once)])

    def _encode(self, frames: torch.Tensor) -> torch.Tensor:
        if self.frames_per_step == 1:
            return frame_maps(self.cnn, frames)  # (N, C, H', W') or (N, C)
        maps: torch.Tensor = self.cnn(frames)  # (N, C, n, H', W') or (N, C)
        return maps.mean(dim=2) if maps.ndim == 5 else maps

    def _encode_clips(self, rgb: torch.Tensor) -> torch.Tensor:
        check_clip(rgb, min_frames=self.frames_per_step)
        batch, _, num_frames, height, width = rgb.shape
        num_steps, rest = divmod(num_frames, self.frames_per_step)
        if rest:
            raise ValueError(
                f"a clip of {num_frames} frames has no whole steps of model.frames_per_step="
                f"{self.frames_per_step}; set sampler.num_frames={num_frames - rest}"
            )
        frames = rgb.transpose(1, 2)  # (B, T, 3, H, W)
        if self.frames_per_step == 1:
            pieces = frames.flatten(0, 1)  # (B*S, 3, H, W)
        else:
            pieces = frames.reshape(-1, self.frames_per_step, 3, height, width).transpose(1, 2)
        features = self.encode_frames(pieces)  # (B*S, C, H', W') or (B*S, C)
        return features.reshape(batch, num_steps, *features.shape[1:])  # (B, S, ...)

    def _read(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        batch, num_steps = features.shape[:2]
        maps = features.flatten(0, 1)  # (B*S, C) or (B*S, C, H', W')
        maps = self.project(maps[:, :, None, None] if maps.ndim == 2 else maps)
        if tuple(maps.shape[1:]) != self.map_shape:
            raise ValueError(
                f"the features of a step have shape {tuple(maps.shape[1:])}, the model was built "
                f"for {self.map_shape}; give it the transform.crop_pixels that it was built for"
            )
        steps, summary = self.sequence(maps.reshape(batch, num_steps, *self.map_shape))
        return steps, summary
