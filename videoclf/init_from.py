"""Start a run from the weights of another one: `init_from=runs/x/checkpoints/best.ckpt`.

Weights only: no optimiser, no epoch. The checkpoint is of the same model, also with other classes,
of a 2D model whose network of single frames the model inflates, or of a masked pretraining, of
which the model takes the encoder. A tensor without a counterpart is never passed over in silence:
each is named, and refused unless the user allows it, or unless it is what a pretraining leaves
behind: decoder and norm, where class head and its norm start anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from videoclf import checkpoint_file
from videoclf.checkpoints import model_weights
from videoclf.errors import CheckpointError
from videoclf.models.blocks.class_head import class_head, copy_class_rows
from videoclf.models.blocks.source_head import SOURCE_HEAD, keep_source_head

IMAGE_NETWORK = "cnn."  # of the network of single frames in a model
ENCODER = "encoder."  # of what masked pretraining and fine-tuning share
MASK_TOKEN = "mask_token"  # which only a masked pretraining has
HEAD = ("classifier.weight", "classifier.bias")

Weights = Mapping[str, torch.Tensor]


def start_from(
    path: Path,
    model: nn.Module,
    *,
    class_names: Sequence[str],
    allow_unmatched: bool,
    keep_source: bool = False,
) -> str:
    """Load a checkpoint's weights into a model; return a sentence that says what came from it.

    Rows of the class head follow the names of their classes; new classes start anew.

    Args:
        path: of a checkpoint of ours.
        model: of the run.
        class_names: of its classes, (K,).
        allow_unmatched: load what fits, and name the rest instead of refusing.
        keep_source: keep the checkpoint's class head, too, beside the model's.

    Raises:
        CheckpointError: the file is missing or damaged, or weights do not fit; exit code 5.
    """
    trained = {name: v for name, v in model_weights(path).items() if name not in SOURCE_HEAD}
    body = {name: value for name, value in trained.items() if name not in HEAD}
    own = model.state_dict()
    left = ""
    if is_pretraining(body, own):
        behind = [name for name in body if not name.startswith(ENCODER)]
        new = [name for name in own if not name.startswith(ENCODER)]
        left = (
            f"; as expected after pretraining, left behind: {', '.join(branches(behind, new))}; "
            f"new: {', '.join(branches(new, behind))}"
        )
        body = {name: value for name, value in body.items() if name.startswith(ENCODER)}
        own = {name: value for name, value in own.items() if name.startswith(ENCODER)}
    inflating = is_image_network(body, own) and hasattr(model, "load_image_weights")
    if inflating:
        fitting = {k: v for k, v in body.items() if k.startswith(IMAGE_NETWORK)}
        rest = branches([name for name in body if name not in fitting], fitting)
        unmatched = [f"beside the 2D network: {', '.join(rest)}"] if rest else []
    else:
        fitting = {k: v for k, v in body.items() if k in own and own[k].shape == v.shape}
        unmatched = differences(body, {k: v for k, v in own.items() if k not in HEAD})
    unmatched += head_differences(trained, own)
    if unmatched and not allow_unmatched:
        raise CheckpointError(
            f"init_from={path} does not fit the model: {'; '.join(unmatched)}; take the model it "
            "was trained with, or load what fits with init_from_allow_unmatched=true"
        )
    if inflating:
        _inflate(path, model, fitting)
    else:
        model.load_state_dict(fitting, strict=False)
    found = 0
    if HEAD[0] in own and not head_differences(trained, own):
        found = copy_class_rows(
            class_head(model),
            class_names,
            weight=trained[HEAD[0]],
            bias=trained.get(HEAD[1]),
            trained_names=checkpoint_file.describe(path)["classes"],
        )
    if keep_source:
        left += keep_head(trained, model, of=str(path))
    how = "tensors, inflated," if inflating else "tensors"
    left += f"; unmatched: {'; '.join(unmatched)}" if unmatched else ""
    return (
        f"started from {path}: {len(fitting)} {how} and {found} of {len(class_names)} classes by "
        f"name{left}"
    )


def keep_head(trained: Weights, model: nn.Module, *, of: str) -> str:
    """Keep the trained class head beside the model's own; return a clause that says so.

    Raises:
        CheckpointError: there is none, or it does not read the model's features.
    """
    if HEAD[0] not in trained:
        raise CheckpointError(
            f"keep_source_head=true, and {of} has no class head of the model's features; "
            "leave it out"
        )
    try:
        keep_source_head(model, weight=trained[HEAD[0]], bias=trained.get(HEAD[1]))
    except ValueError as error:
        raise CheckpointError(f"keep_source_head=true: {error}; leave it out") from error
    return f"; its class head of {len(trained[HEAD[0]])} classes is kept, frozen"


def is_pretraining(body: Weights, own: Weights) -> bool:
    """Whether `body` is of a masked pretraining, and the model is not, but shares its encoder."""
    encoders = all(any(name.startswith(ENCODER) for name in names) for names in (body, own))
    return encoders and MASK_TOKEN in body and MASK_TOKEN not in own


def is_image_network(body: Weights, own: Weights) -> bool:
    """Whether `body` holds a 2D network that the model's own names or shapes differ from."""
    images = any(name.startswith(IMAGE_NETWORK) for name in body)
    clips = any(value.ndim == 5 for value in body.values())
    differs = any(name not in own or own[name].shape != body[name].shape for name in body)
    return images and differs and not clips


def differences(body: Weights, own: Weights) -> list[str]:
    """Say which names are in one of both only, and which have another shape in each."""
    found = []
    for place, names, others in (("checkpoint", body, own), ("model", own, body)):
        alone = [name for name in names if name not in others]
        if alone:
            found.append(f"only in the {place}: {', '.join(branches(alone, others))}")
    return found + [
        f"{name} is {tuple(body[name].shape)}, not {tuple(own[name].shape)}"
        for name in body
        if name in own and body[name].shape != own[name].shape
    ]


def branches(names: Iterable[str], others: Iterable[str]) -> list[str]:
    """Name whole branches of a network instead of each tensor, where the others have none of them.

    cnn.bn1.weight and cnn.bn1.bias become cnn.bn1.*, or cnn.* if nothing of it is in `others`.
    """
    taken = {".".join(parts[:end]) for parts in map(_parts, others) for end in range(len(parts))}
    found: dict[str, None] = {}
    for name in names:
        parts = _parts(name)
        beginnings = (".".join(parts[:end]) for end in range(1, len(parts)))
        branch = next((beginning for beginning in beginnings if beginning not in taken), None)
        found[name if branch is None else f"{branch}.*"] = None
    return list(found)


def head_differences(trained: Weights, own: Weights) -> list[str]:
    """Say why the class head's rows cannot be taken over, whatever their classes.

    Two networks without a head differ in nothing here.
    """
    weight = HEAD[0]
    if weight not in trained and weight not in own:
        return []
    if weight not in trained or weight not in own:
        place = "checkpoint" if weight in own else "model"
        return [f"{weight} is not in the {place}"]
    read, reads = trained[weight].shape[1], own[weight].shape[1]
    return [] if read == reads else [f"{weight} reads {read} features, not {reads}"]


def _inflate(path: Path, model: nn.Module, weights: Weights) -> None:
    images = {name.removeprefix(IMAGE_NETWORK): value for name, value in weights.items()}
    try:
        model.load_image_weights(images)  # type: ignore[operator]
    except ValueError as error:
        raise CheckpointError(f"init_from={path} does not fit the model: {error}") from error


def _parts(name: str) -> list[str]:
    return name.split(".")
