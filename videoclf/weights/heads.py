"""The class head of an entry against the classes of a model: by name, row by row."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from videoclf.errors import CheckpointError
from videoclf.init_from import HEAD
from videoclf.models.blocks.class_head import class_head, copy_class_rows
from videoclf.weights.card import Card
from videoclf.weights.class_order import ZOOS, check_order, is_permuted, plain_name
from videoclf.weights.class_sets import class_names_of
from videoclf.weights.key_maps import Weights


def check_against_card(found: Weights, card: Card) -> None:
    """Hold a head's rows against the classes of its card: how many, and where known, which order.

    Raises:
        CheckpointError: they differ, so that no row can be trusted to be its class.
    """
    if HEAD[0] in found and card.classes and len(found[HEAD[0]]) != len(card.classes):
        raise CheckpointError(
            f"the class head of {card.name} has {len(found[HEAD[0]])} rows, and its card names "
            f"{len(card.classes)} classes; mend the card, or take the file that it belongs to"
        )
    known = class_names_of(card.class_set) if card.layout in ZOOS else ()
    if known and is_permuted(card, known):
        check_order(card, known, of=f"{card.layout}'s {card.class_set}")


def flat_head(found: Weights) -> Weights:
    """Make a head that is a convolution over one position the linear layer that it is."""
    return {k: v.flatten(1) if k == HEAD[0] and v.ndim > 2 else v for k, v in found.items()}


def load_head(
    found: Weights, model: nn.Module, *, class_names: Sequence[str], trained_names: Sequence[str]
) -> int:
    """Copy the rows of classes that both know; the others of the model stay as they were drawn.

    Args:
        found: by our names.
        model: its head is changed.
        class_names: of the model's rows.
        trained_names: of the found rows; empty where nobody says which they are.

    Returns:
        How many classes were found.

    Raises:
        ValueError: heads over features of different size.
    """
    if HEAD[0] not in found or not trained_names:
        return 0
    return copy_class_rows(
        class_head(model),
        [plain_name(name) for name in class_names],
        weight=found[HEAD[0]],
        bias=found.get(HEAD[1]),
        trained_names=[plain_name(name) for name in trained_names],
    )
