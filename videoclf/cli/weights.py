"""`videoclf weights`: what published weights are, and whether they are what they should be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from torch import nn

    from videoclf.weights.card import Card

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
NameArgument = Annotated[str, typer.Argument(help="<scheme>:<entry>, as model.weights= takes it.")]


@app.callback()
def _describe() -> None:
    """Find, show, convert and verify weights that others have published."""


@app.command("list")
def list_entries(
    scheme: Annotated[str | None, typer.Argument(help="Of one source only.")] = None,
) -> None:
    """List entries; timm and the Hugging Face hub have more than are shown.

    [dim]$[/dim] videoclf weights list torchvision
    """
    from videoclf.build import nearest
    from videoclf.errors import ConfigError
    from videoclf.weights.sources import SOURCES, Name, source_of

    if scheme is not None and scheme not in SOURCES:
        raise ConfigError(f"there is no source {scheme!r}{nearest(scheme, SOURCES)}")
    for each in [scheme] if scheme else SOURCES:
        for entry in source_of(Name(each, "")).entries(each):
            typer.echo(entry)
    typer.echo("file:<path>", err=True)


@app.command("show")
def show(
    name: NameArgument,
    classes: Annotated[bool, typer.Option(help="Name every class, too.")] = False,
) -> None:
    """Show the card of an entry: network, clip, size, colours, protocol, accuracy, licence.

    [dim]$[/dim] videoclf weights show torchvision:R3D_18/KINETICS400_V1
    """
    import yaml

    from videoclf.weights.sources import parse, source_of

    parsed = parse(name)
    values = source_of(parsed).card(parsed).as_dict()
    if not classes and "classes" in values:
        values["classes"] = f"{len(values['classes'])} names; --classes shows them"
    typer.echo(yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100).rstrip())


@app.command("verify")
def verify(
    name: NameArgument,
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Settings, as train.py takes them.")
    ] = None,
) -> None:
    """Load an entry whole, and see what it says of a clip of noise.

    Holds the file against its hash, every tensor against the network, the class head against the
    card; where the card has logits of that clip, what comes out against them.

    [dim]$[/dim] videoclf weights verify file:net.safetensors
    """
    from videoclf.weights.describing import describe
    from videoclf.weights.hashes import sha256_of
    from videoclf.weights.loading import load_entry
    from videoclf.weights.sources import parse, source_of
    from videoclf.weights.verifying import check_logits, noise_logits

    card = describe(name)
    model = _network(card, overrides or [])
    said = load_entry(name, model, class_names=card.classes or ("unnamed",))
    parsed = parse(name)
    typer.echo(f"sha256 {sha256_of(source_of(parsed).fetch(parsed))}")
    typer.echo(said)
    logits = noise_logits(model, card)
    typer.echo("logits " + " ".join(f"{value:.5f}" for value in logits[:5]))
    typer.echo(check_logits(logits, card))


@app.command("convert")
def convert(
    source: Annotated[str, typer.Argument(help="A checkpoint of ours, or <scheme>:<entry>.")],
    target: Annotated[Path, typer.Argument(help="A .safetensors file, with its card beside it.")],
) -> None:
    """Write weights as plain safetensors under our names, and their card as YAML.

    [dim]$[/dim] videoclf weights convert runs/x/checkpoints/best.ckpt net.safetensors
    [dim]$[/dim] python train.py model.weights=file:net.safetensors data=folder data.root=/videos
    """
    from videoclf.errors import ConfigError

    if target.suffix != ".safetensors":
        raise ConfigError(f"{target} must end in .safetensors")
    from videoclf.weights.converting import card_of_checkpoint, write_weights

    if Path(source).exists():
        from videoclf.checkpoints import load_model

        card = card_of_checkpoint(Path(source))
        model = _network(card, [])
        load_model(Path(source), model)
    else:
        from videoclf.weights.describing import describe
        from videoclf.weights.loading import load_entry

        card = describe(source)
        model = _network(card, [])
        load_entry(source, model, class_names=card.classes or ("unnamed",))
    written = write_weights(model, card, target)
    typer.echo(f"{target} ({target.stat().st_size / 1e6:.1f} MB) and {written}")


def _network(card: Card, overrides: list[str]) -> nn.Module:
    """Build the network of a card, its head for the card's classes, its weights as drawn."""
    from videoclf.build import build
    from videoclf.cli.composing import compose_train
    from videoclf.config import plain
    from videoclf.errors import ConfigError
    from videoclf.weights.settings import as_overrides, training_settings

    if card.model is None and not any(text.startswith("model=") for text in overrides):
        raise ConfigError(f"the card of {card.name} names no model; add model=<name>")
    settings = [*as_overrides(training_settings(card), overrides), *overrides]
    config = compose_train(settings, data__num_classes=max(1, len(card.classes)))
    model: nn.Module = build(plain(config.model), name="model")
    return model.eval()
