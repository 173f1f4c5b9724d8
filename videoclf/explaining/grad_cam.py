"""Grad-CAM: where the last maps of a network speak for a class.

    heat = ReLU(sum over channels of g_c A_c),   g_c the mean over all places of d score / d A_c

A are the maps of a layer, at all places in space and time together: of the last layer whose maps
still have places. Networks that see single frames have maps of T frames, and g of each. For
transformers A is what the last block attends to (its first norm), where a class token still reads.

Sources: Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", equations 1 and 2; captum's LayerGradCam computes it where maps are convolutions'.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import torch
from captum.attr import LayerGradCam
from einops import rearrange
from torch import nn

from videoclf.explaining.grids import token_grid
from videoclf.models.blocks.convolutional_recurrence import OneDirection

Inputs = Mapping[str, torch.Tensor]


def grad_cam(
    model: nn.Module, inputs: Inputs, *, class_id: int, layer: str | None
) -> tuple[torch.Tensor, str]:
    """Find where a network sees what speaks for a class.

    Args:
        model: in eval mode.
        inputs: one clip, float (1, C, T, H, W), by modality.
        class_id: the class.
        layer: by its name in the model; None takes the last whose maps have places.

    Returns:
        Heat, float32 (T', H', W'), not negative, and the layer's name.

    Raises:
        ValueError: no layer of this name, or none with maps that depend on gradients.
    """
    modules = dict(model.named_modules())
    if layer is not None and layer not in modules:
        raise ValueError(f"the model has no layer {layer!r}; some are {', '.join(some(modules))}")
    name = layer or last_norm(model) or last_map(model, inputs)
    own = isinstance(modules[name], (nn.LayerNorm, OneDirection))  # no maps (B, C, ...)
    try:
        heat = (token_cam if own else map_cam)(model, inputs, class_id, modules[name])
    except (RuntimeError, AssertionError, IndexError) as error:
        raise ValueError(f"the layer {name} has no maps for Grad-CAM: {error}") from error
    if heat.ndim != 3:
        raise ValueError(f"the layer {name} has no maps for Grad-CAM; leave out --layer")
    return heat, name


def map_cam(model: nn.Module, inputs: Inputs, class_id: int, layer: nn.Module) -> torch.Tensor:
    """Return the heat of a layer with maps (1, C, T', H', W') or (T', C, H', W')."""
    names = list(inputs)

    def score(*clips: torch.Tensor) -> torch.Tensor:
        return clip_logits(model(**dict(zip(names, clips, strict=True))))

    clips = tuple(inputs[name] for name in names)
    found: torch.Tensor = LayerGradCam(score, layer).attribute(
        clips, target=class_id, relu_attributions=True
    )
    return (found[0, 0] if found.ndim == 5 else found[:, 0]).detach()  # (T', H', W')


def token_cam(model: nn.Module, inputs: Inputs, class_id: int, layer: nn.Module) -> torch.Tensor:
    """Return the heat of a layer of tokens, or of a recurrence over maps.

    The layer gives (1, T', H', W', D), (T', [1 +] N, D), (1, [1 +] T' N, D), the class token
    first, or the states (1, T', D, H', W').
    """
    seen: list[torch.Tensor] = []
    handle = layer.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    try:
        with torch.enable_grad():
            # a graph is needed also where no weight is to learn
            clips = {name: clip.detach().requires_grad_() for name, clip in inputs.items()}
            score = clip_logits(model(**clips))[0, class_id]
            gradient = torch.autograd.grad(score, seen[0])[0]
    finally:
        handle.remove()
    pair = torch.stack([seen[0].detach(), gradient])  # (2, ...)
    if isinstance(layer, OneDirection):
        pair = rearrange(pair, "two 1 t d h w -> two t h w d")
    elif pair.ndim == 4:
        steps, rows, columns = token_grid(model, next(iter(inputs.values())))
        num_places = steps * rows * columns // pair.shape[1]
        places = pair[:, :, -num_places:]  # without the class token
        pair = rearrange(places, "two b (t h w) d -> two (b t) h w d", h=rows, w=columns)
    else:
        pair = rearrange(pair, "two 1 t h w d -> two t h w d")
    tokens, gradient = pair
    heat: torch.Tensor = (gradient.mean(dim=(0, 1, 2)) * tokens).sum(-1).relu()
    return heat  # (T', H', W')


def last_norm(model: nn.Module) -> str | None:
    """Return the name of the norm before the last attention over space of a transformer."""
    names = [
        f"{name}.norm1"
        for name, block in model.named_modules()
        if hasattr(block, "norm1")
        and hasattr(block, "attn")
        and not name.startswith("temporal_blocks.")  # ViViT's, over steps alone
    ]
    return names[-1] if names else None


def last_map(model: nn.Module, inputs: Inputs) -> str:
    """Return the name of the layer that is done last of those whose maps have places.

    Raises:
        ValueError: there is none.
    """
    done: list[str] = []
    calls: Counter[str] = Counter()

    def note(name: str, output: object) -> None:
        calls[name] += 1
        if isinstance(output, torch.Tensor) and output.ndim in (4, 5) and output[0, 0].numel() > 1:
            done.append(name)

    handles = [
        module.register_forward_hook(lambda _m, _i, output, name=name: note(name, output))
        for name, module in model.named_modules()
        if name
    ]
    try:
        with torch.no_grad():
            model(**inputs)
    finally:
        for handle in handles:
            handle.remove()
    once = [name for name in done if calls[name] == 1]
    if not once:
        raise ValueError(
            f"{type(model).__name__} has no layer with maps that runs once a clip; name one with "
            f"--layer, such as {', '.join(some(dict.fromkeys(done)))}"
        )
    return once[-1]


def clip_logits(logits: torch.Tensor) -> torch.Tensor:
    """Return one score a class and clip, (B, K), also of models that speak S times, (B, S, K)."""
    return logits.mean(1) if logits.ndim == 3 else logits


def some(names: Mapping[str, object]) -> list[str]:
    """Return the last few names of many."""
    return list(names)[-5:]
