"""What happens to a clip between the reader and the model: uint8 in the worker, then the device.

In the worker a crop is a view, and only the crop is resized, in uint8 with antialiasing. The
batch travels as uint8 (B, V, T, H, W, C). On the device one permute makes it (B, C, T, H, W),
which is channels_last_3d without a copy; then, in training, flips, colour jitter, RandAugment and
erasing in uint8; then float and normalisation; then mixup or CutMix. Flow is cropped, flipped and
mixed as its frames are, and has no colours.

Whatever is drawn is drawn once for all frames of a clip, from (seed, epoch, index) of its sample.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch.nn import functional as F

from videoclf.errors import ConfigError
from videoclf.flow.quantisation import mirrored
from videoclf.transforms.colour_jitter import ColourJitter
from videoclf.transforms.crops import (
    Box,
    largest_centre_square,
    random_area_box,
    random_square,
    view_boxes,
)
from videoclf.transforms.erasing import RandomErasing
from videoclf.transforms.flow import mirror_codes, normalise_codes
from videoclf.transforms.mixing import Mixing, draw_partners
from videoclf.transforms.rand_augment import RandAugment
from videoclf.types import Batch, Mix

#: Each augmentation has random numbers of its own: to switch one off changes no other. The worker
#: draws from (seed, epoch, index), which is number 0.
FLIP, COLOUR_JITTER, RAND_AUGMENT, ERASING, MIXING, PARTNER = range(1, 7)


class ClipTransform:
    """Crops for training and test, augmentation, one normalisation.

    Args:
        resize_pixels: short side that a video is decoded at, before any crop.
        crop_pixels: edge of the square that the model sees.
        short_side: smallest and largest short side that a training video is decoded at instead;
            the crop is then a square of `crop_pixels` anywhere (short-side jitter). Null where
            `scale` and `aspect` say how a training crop is drawn.
        scale: smallest and largest share of the frame's area that a random crop covers, or null.
        aspect: narrowest and widest width / height of a random crop, before it is made square, or
            null.
        flip_probability: of a horizontal flip.
        directional: the classes name directions: nothing is mirrored or turned, whatever the
            other settings.
        colour_jitter: brightness, contrast, saturation, hue.
        rand_augment: random operations on colours and geometry.
        erasing: a box of noise.
        mixing: mixup and CutMix.
        mean: of each channel, in [0, 1].
        std: of each channel, in [0, 1].
        subtract_mean_flow: take the mean vector off each field of optical flow.

    Raises:
        ValueError: a value out of range.
    """

    def __init__(
        self,
        *,
        resize_pixels: int,
        crop_pixels: int,
        short_side: tuple[int, int] | None,
        scale: tuple[float, float] | None,
        aspect: tuple[float, float] | None,
        flip_probability: float,
        directional: bool,
        colour_jitter: ColourJitter,
        rand_augment: RandAugment,
        erasing: RandomErasing,
        mixing: Mixing,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        subtract_mean_flow: bool,
    ) -> None:
        if not 0 < crop_pixels <= resize_pixels:
            raise ValueError(
                f"transform.crop_pixels={crop_pixels} must be above 0 and at most "
                f"transform.resize_pixels={resize_pixels}"
            )
        _check_training_crop(crop_pixels, short_side, scale, aspect)
        if not 0 <= flip_probability <= 1:
            raise ValueError(f"transform.flip_probability={flip_probability} must be in [0, 1]")
        if len(mean) != len(std) or min(std) <= 0:
            raise ValueError(f"transform.mean={list(mean)} and std={list(std)} do not fit")
        self.resize_pixels = resize_pixels
        self.crop_pixels = crop_pixels
        self.short_side = short_side
        self.scale = scale
        self.aspect = aspect
        self.flip_probability = 0.0 if directional else flip_probability
        self.directional = directional
        self.colour_jitter = colour_jitter
        self.rand_augment = rand_augment
        self.erasing = erasing
        self.mixing = mixing
        self.mean = mean
        self.std = std
        self.subtract_mean_flow = subtract_mean_flow

    @property
    def is_fixed(self) -> bool:
        """Whether training, too, cuts the same crop of a frame each time and changes nothing."""
        changes = (self.colour_jitter, self.rand_augment, self.erasing, self.mixing)
        crop = (self.short_side, self.scale, self.aspect) == (None, (1.0, 1.0), (1.0, 1.0))
        return crop and self.flip_probability == 0 and not any(each.active for each in changes)

    def smaller(self, crop_pixels: int) -> ClipTransform:
        """Return the same transform for a smaller crop: all sizes shrink alike.

        For multigrid training, in the worker; what happens on the device has no sizes.
        """
        share = crop_pixels / self.crop_pixels
        made = copy.copy(self)
        made.crop_pixels = crop_pixels
        made.resize_pixels = max(crop_pixels, round(self.resize_pixels * share))
        if self.short_side is not None:
            low, high = (max(crop_pixels, round(pixels * share)) for pixels in self.short_side)
            made.short_side = (low, high)
        return made

    # in the worker ---------------------------------------------------------------------------

    def train_short_side(self, generator: np.random.Generator) -> int:
        """Draw the short side that a training video is decoded at, for all its clips.

        Uniform over whole pixels, both ends included. Source: Simonyan and Zisserman 2014, and
        Feichtenhofer et al. 2019 (SlowFast), who use 256 to 320 for crops of 224.
        """
        if self.short_side is None:
            return self.resize_pixels
        smallest, largest = self.short_side
        return int(generator.integers(smallest, largest + 1))

    def train_box(self, height: int, width: int, generator: np.random.Generator) -> Box:
        """Draw the crop of a training clip from frames of a size."""
        if self.scale is None or self.aspect is None:
            return random_square(height, width, self.crop_pixels, generator)
        box = random_area_box(height, width, generator, area=self.scale, aspect=self.aspect)
        return box or largest_centre_square(height, width)

    def cut(
        self, frames: np.ndarray, box: Box, rows: np.ndarray | slice = slice(None)
    ) -> np.ndarray:
        """Crop some of the frames and resize them.

        Args:
            frames: uint8 (N, H, W, C).
            box: the crop.
            rows: which frames, T of the N; all of them if not given.

        Returns:
            uint8 (T, crop_pixels, crop_pixels, C).
        """
        columns = slice(box.left, box.left + box.width)
        # only the crop is gathered, not the frames
        window = frames[:, box.top : box.top + box.height, columns][rows]
        if window.shape[1:3] == (self.crop_pixels, self.crop_pixels):
            return window
        pictures = torch.from_numpy(window).permute(0, 3, 1, 2)  # (T, C, H, W), channels last
        size = (self.crop_pixels, self.crop_pixels)
        resized = F.interpolate(pictures, size=size, mode="bilinear", antialias=True)
        return resized.permute(0, 2, 3, 1).numpy()

    def check_modalities(self, modalities: Sequence[str]) -> None:
        """Refuse augmentation that would move frames and leave their flow where it was.

        Raises:
            ConfigError: RandAugment beside flow.
        """
        if "flow" in modalities and self.rand_augment.active:
            raise ConfigError(
                "transform.rand_augment shears, turns and moves frames, which would no longer fit "
                f"the flow of data.modalities={list(modalities)}; set "
                "transform.rand_augment.num_operations=0"
            )

    def check_crops(self, num_crops: int) -> None:
        """Refuse test crops that do not suit the data.

        Raises:
            ConfigError: mirrored crops, where the classes name directions.
        """
        if num_crops == 10 and self.directional:
            raise ConfigError(
                "views.num_crops=10 mirrors clips, but the classes of these data name directions "
                "(data.directional=true); set views.num_crops=5"
            )

    def view_crops(
        self,
        frames: np.ndarray,
        num_crops: int,
        modality: str = "rgb",
        crop_pixels: int | None = None,
        *,
        even_centre: bool = False,
    ) -> list[np.ndarray]:
        """Cut the crops of the test protocol; 10 are five, then the mirrors of the five.

        Args:
            frames: uint8 (N, H, W, C).
            num_crops: 1, 3, 5 or 10; see `view_boxes`.
            modality: what the frames are; mirrored flow changes the sign of x.
            crop_pixels: edge of a crop; the training's if not given.
            even_centre: see `view_boxes`.

        Returns:
            One uint8 (N, crop_pixels, crop_pixels, C) a crop, in the order of `view_boxes`.
        """
        self.check_crops(num_crops)
        height, width = frames.shape[1:3]
        edge = crop_pixels or self.crop_pixels
        boxes = view_boxes(height, width, edge, num_crops, even_centre=even_centre)
        crops = [frames[:, y : y + h, x : x + w] for y, x, h, w in boxes]
        if num_crops < 10:
            return crops
        return crops + [mirrored(c) if modality == "flow" else c[:, :, ::-1] for c in crops]

    # on the device ---------------------------------------------------------------------------

    def on_device(self, batch: Batch, *, seed: int, train: bool) -> Batch:
        """Augment, normalise and mix a batch where it lies.

        What happens to a clip depends on (seed, epoch, index) of its sample and on its number
        among the sample's clips, not on the rest of the batch; only the partner of a mixed clip
        is another one of this batch. In evaluation the clips are normalised and nothing else.

        Args:
            batch: inputs uint8 (B, V, T, H, W, C).
            seed: of the run.
            train: whether to augment.

        Returns:
            The batch with float32 inputs (B * V, C, T, H, W).
        """
        inputs: dict[str, torch.Tensor] = {}
        mix: Mix | None = None
        for modality, clips in batch.inputs.items():
            video = clips.flatten(0, 1).permute(0, 4, 1, 2, 3)  # (B * V, C, T, H, W)
            is_flow = modality == "flow"
            if train:
                video = self._flip(video, batch, seed, mirror_codes if is_flow else mirror)
            if is_flow:
                inputs[modality] = normalise_codes(video, subtract_mean=self.subtract_mean_flow)
            else:
                video = self._augment(video, batch, seed) if train else video
                inputs[modality] = self._normalise(video)
            if train and self.mixing.active:
                inputs[modality], mix = self._mix(inputs[modality], batch, seed)
        return batch.with_inputs(inputs, mix)

    def _flip(
        self,
        video: torch.Tensor,
        batch: Batch,
        seed: int,
        mirror_of: Callable[[torch.Tensor], torch.Tensor],
    ) -> torch.Tensor:
        """Mirror some clips, the same in all modalities; every clip of a sample draws its own."""
        if self.flip_probability == 0:
            return video
        rows = [
            np.random.default_rng((seed, int(epoch), int(index), FLIP)).random(batch.num_views)
            for epoch, index in zip(batch.epochs, batch.indices, strict=True)
        ]
        flips = torch.from_numpy(np.concatenate(rows) < self.flip_probability).to(video.device)
        return torch.where(flips[:, None, None, None, None], mirror_of(video), video)

    def _augment(self, video: torch.Tensor, batch: Batch, seed: int) -> torch.Tensor:
        """Change colours and geometry of each clip, and erase; uint8 (B * V, C, T, H, W)."""
        jitter, rand, erasing = self.colour_jitter, self.rand_augment, self.erasing
        if not (jitter.active or rand.active or erasing.active):
            return video
        video = video.clone()  # keeps the layout; the loader's batch stays as it is
        fill = [255 * value for value in self.mean]
        height, width = video.shape[3:]
        for row, key in enumerate(_clip_keys(batch, seed)):
            clip = video[row]  # (C, T, H, W)
            if jitter.active:
                clip = jitter.apply(clip, jitter.draw(_generator(key, COLOUR_JITTER)))
            if rand.active:
                operations = rand.draw(_generator(key, RAND_AUGMENT), directional=self.directional)
                clip = rand.apply(clip, operations, fill)
            video[row] = clip
            if erasing.active:
                erased = erasing.draw(height, width, _generator(key, ERASING))
                if erased is not None:
                    erasing.apply(video[row], *erased)
        return video

    def _normalise(self, video: torch.Tensor) -> torch.Tensor:
        """Return (x / 255 - mean) / std in float32; the only copy is that of the conversion."""
        shape = (1, len(self.mean), 1, 1, 1)
        mean = torch.tensor(self.mean, device=video.device).view(shape)
        std = torch.tensor(self.std, device=video.device).view(shape)
        return video.to(torch.float32, copy=True).div_(255).sub_(mean).div_(std)

    def _mix(self, clips: torch.Tensor, batch: Batch, seed: int) -> tuple[torch.Tensor, Mix]:
        """Mix each clip with another one of the batch, which the batch's samples decide."""
        height, width = clips.shape[3:]
        shares = [
            self.mixing.draw(height, width, _generator(key, MIXING))
            for key in _clip_keys(batch, seed)
        ]
        keys = (*batch.epochs.tolist(), *batch.indices.tolist())
        partner = draw_partners(len(clips), np.random.default_rng((seed, PARTNER, *keys)))
        return self.mixing.apply(clips, shares, partner)


def mirror(video: torch.Tensor) -> torch.Tensor:
    """Return mirrored clips of colours, (N, C, T, H, W)."""
    return video.flip(4)


def _clip_keys(batch: Batch, seed: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (seed, epoch, index, number among the sample's clips) of each clip, B * V in all."""
    for epoch, index in zip(batch.epochs.tolist(), batch.indices.tolist(), strict=True):
        for view in range(batch.num_views):
            yield seed, epoch, index, view


def _generator(key: tuple[int, int, int, int], stream: int) -> np.random.Generator:
    """Return the random numbers of one augmentation of one clip."""
    seed, epoch, index, view = key
    return np.random.default_rng((seed, epoch, index, stream, view))


def _check_training_crop(
    crop_pixels: int,
    short_side: tuple[int, int] | None,
    scale: tuple[float, float] | None,
    aspect: tuple[float, float] | None,
) -> None:
    if short_side is not None:
        if scale is not None or aspect is not None:
            raise ValueError(
                f"transform.short_side={list(short_side)} draws crops of a fixed size; set "
                "transform.scale=null and transform.aspect=null beside it"
            )
        if not crop_pixels <= short_side[0] <= short_side[1]:
            raise ValueError(
                f"transform.short_side={list(short_side)} must be ascending and at least "
                f"transform.crop_pixels={crop_pixels}"
            )
        return
    if scale is None or aspect is None:
        raise ValueError(
            f"transform.scale={scale} and transform.aspect={aspect} must both be given, or "
            "transform.short_side instead of both"
        )
    if not 0 < scale[0] <= scale[1] <= 1:
        raise ValueError(f"transform.scale={list(scale)} must be ascending within (0, 1]")
    if not 0 < aspect[0] <= aspect[1]:
        raise ValueError(f"transform.aspect={list(aspect)} must be ascending and above 0")
