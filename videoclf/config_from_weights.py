"""What a command takes from the card of published weights: settings, and classes.

`train.py` and `evaluate.py` put the card's settings in front of what the user types, which wins.
What a test then does otherwise than the card says is written into its results.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from videoclf import checkpoint_file
from videoclf.config import CONF
from videoclf.config_from_checkpoint import with_classes
from videoclf.errors import CheckpointError, ConfigError
from videoclf.weights.describing import describe
from videoclf.weights.settings import as_overrides, departures, test_settings, training_settings


def keys_of(arguments: Sequence[str]) -> list[str]:
    """Return the keys that arguments set."""
    return [text.partition("=")[0].lstrip("+") for text in arguments if "=" in text]


def offer_weights_settings(arguments: list[str]) -> list[str]:
    """Return arguments with the settings of the card of `weights=`, if that is there.

    Raises:
        ConfigError: several of them, or a checkpoint beside it.
        CheckpointError: the weights are missing.
    """
    named = [text.partition("=")[2] for text in arguments if text.startswith("weights=")]
    if not named or named[-1] in ("null", "None"):
        return arguments
    name = named[-1].strip("'\"")
    if "," in name:
        raise ConfigError(f"model.weights={name} is several; give one, or sweep in a shell's loop")
    card = describe(name)
    testing = Path(arguments[0]).stem == "evaluate"
    if testing and "checkpoint" in keys_of(arguments):
        raise ConfigError(f"both checkpoint= and model.weights={name}; evaluate one of them")
    if testing and "data" not in keys_of(arguments):
        raise ConfigError(f"model.weights={name} brings no videos; add data=<name> data.root=...")
    if testing and card.model is None and "model" not in keys_of(arguments):
        raise ConfigError(f"the card of {name} names no model; add model=<name>")
    settings = test_settings(card) if testing else training_settings(card)
    given = [text for text in arguments[1:] if text != f"weights={named[-1]}"]
    overrides = as_overrides(_for_chosen_model(settings, given), given)
    return [arguments[0], *overrides, f'weights="{name}"', *given]


def _for_chosen_model(settings: dict[str, Any], given: Sequence[str]) -> dict[str, Any]:
    """Keep the backbone where another model than the card's is chosen, and names one, too."""
    chosen = [text.partition("=")[2] for text in given if text.startswith("model=")]
    if not chosen or "model.backbone" not in settings:
        return settings
    file = CONF / "model" / f"{chosen[-1]}.yaml"
    if file.is_file() and "\nbackbone:" in file.read_text(encoding="utf-8"):
        return {**settings, "model": chosen[-1]}
    return settings


def with_source_classes(config: dict[str, Any]) -> dict[str, Any]:
    """Name the classes of the head that `keep_source_head=true` keeps, if it is set.

    Args:
        config: of a training, prepared.

    Raises:
        ConfigError: there is no source, or a probe takes the head's place.
        CheckpointError: the source is missing, or nobody says which classes it has.
    """
    if not config["keep_source_head"]:
        return config
    own, published = config["init_from"], config["weights"]
    if own is None and published is None:
        raise ConfigError(
            "keep_source_head=true and nothing to start from; give init_from= or model.weights="
        )
    if config.get("head"):
        raise ConfigError(
            "keep_source_head=true keeps a head that a probe does without; set head=null "
            "freeze=backbone"
        )
    names = checkpoint_file.describe(Path(own))["classes"] if own else describe(published).classes
    if not names:
        raise CheckpointError(
            f"keep_source_head=true, and no card names the classes of {own or published}; write "
            "them into its card, or leave it out"
        )
    return {**config, "source_classes": list(names)}


def align_to_weights(config: dict[str, Any]) -> dict[str, Any]:
    """Bring the data's labels into the classes of the card, and say what departs from it.

    Raises:
        ConfigError: another head than its own is asked for.
        CheckpointError: nobody says which classes they are, or the data have others.
    """
    card = describe(config["weights"])
    if config["head_of"] != "new":
        raise ConfigError(
            f"head_of={config['head_of']} is for a checkpoint of a training; {card.name} has one "
            "class head"
        )
    if not card.classes:
        raise CheckpointError(
            f"{card.name} has no class head, or no card that names its classes, so that there is "
            "nothing to test; train it first, or write the names into its card"
        )
    config["overridden"] = departures(test_settings(card), config)
    return with_classes(config, card.classes, of=card.name)
