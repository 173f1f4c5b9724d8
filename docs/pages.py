"""Write docs/models: a page for each file of videoclf/models, from its docstring and its profile.

    make docs                     # profiles what is new or changed, then writes all pages
    python docs/pages.py --all    # profiles everything anew

The docstring gives the idea, when to use it, the equations and the source. The profile of each
conf/model/<name>.yaml of that file gives the numbers and the picture, at the input of the published
figures where there are any. Profiles take minutes, so they are kept in docs/models/figures.json.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from videoclf.cli.profile import profile_config
from videoclf.profiling.fields import Field
from videoclf.profiling.picture import Panel, draw
from videoclf.profiling.published import Published, published

PROJECT = Path(__file__).parents[1]
CONF = PROJECT / "conf" / "model"
PAGES = PROJECT / "docs" / "models"
PICTURES = PROJECT / "docs" / "images"
FIGURES = PAGES / "figures.json"
MOST_PANELS = 3
#: The three that show side by side how time can be fused.
TOY = ("toy_late_fusion", "toy_early_fusion", "toy_cnn_3d")


def main() -> None:
    """Profile what has changed, write all pages and pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="profile every model anew")
    arguments = parser.parse_args()
    kept = {} if arguments.all else load_figures()
    figures: dict[str, Any] = {}
    for name in config_names():
        if is_fresh(name, kept.get(name)):
            figures[name] = kept[name]
        else:
            print(f"profiling {name}", flush=True)  # noqa: T201 (this is a script)
            figures[name] = figure(name)
            save({**kept, **figures})  # what is done stays done
    save(figures)
    wanted = render(figures)
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for path in [*PAGES.glob("*.md"), *(PICTURES / "models").glob("*.svg")]:
        if path not in wanted:
            path.unlink()


def is_fresh(name: str, kept: Mapping[str, Any] | None) -> bool:
    """Whether a config's figures are of its present code, and at the published input."""
    if kept is None or kept["made_from"] != made_from(name):
        return False
    rows = published(name)
    size = (kept["num_frames"], kept["crop_pixels"])
    return not rows or size == (rows[0].num_frames, rows[0].crop_pixels)


def config_names() -> list[str]:
    """List the names of conf/model/*.yaml."""
    return sorted(path.stem for path in CONF.glob("*.yaml") if path.stem[0] != "_")


def strategy_of(name: str) -> str:
    """Return the file of videoclf/models that a config builds from, such as `video_resnet`."""
    node = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))
    return str(node["_target_"]).split(".")[-2]


def model_file(strategy: str) -> Path:
    """Return a strategy's file."""
    return PROJECT / "videoclf" / "models" / f"{strategy}.py"


def made_from(name: str) -> str:
    """Return a hash of what a config's figures come from: its text, and the model's code."""
    tree = ast.parse(model_file(strategy_of(name)).read_text(encoding="utf-8"))
    tree.body = tree.body[1:]  # the docstring is for the page alone
    text = (CONF / f"{name}.yaml").read_text(encoding="utf-8") + ast.unparse(tree)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def figure(name: str) -> dict[str, Any]:
    """Profile a config: the numbers that the pages show."""
    one = profile_config(
        name,
        [f"model={name}"],
        as_published=bool(published(name)),
        depth=None,
        num_clips=2,
        device=None,
    )
    return {
        "made_from": made_from(name),
        "num_classes": one.num_classes,
        "num_frames": one.num_frames,
        "crop_pixels": one.crop_pixels,
        "parameters": one.parameters,
        "head_parameters": one.head_parameters,
        "macs": one.macs,
        "head_macs": one.head_macs,
        "activation_bytes": one.clip_bytes,
        "layers": [
            {
                "name": row.name,
                "output": list(row.output),
                "frames": "".join("1" if seen else "0" for seen in row.field.frames),
                "box": [
                    row.field.top_pixels,
                    row.field.left_pixels,
                    row.field.height_pixels,
                    row.field.width_pixels,
                ],
            }
            for row in one.rows
            if row.field is not None
        ],
    }


def load_figures() -> dict[str, Any]:
    """Read the figures of the last time, by config."""
    if not FIGURES.is_file():
        return {}
    figures: dict[str, Any] = json.loads(FIGURES.read_text(encoding="utf-8"))
    return figures


def save(figures: Mapping[str, Any]) -> None:
    """Write the figures, a line a config, so that changes are seen where they are."""
    lines = [f"{json.dumps(name)}: {json.dumps(figures[name])}" for name in sorted(figures)]
    FIGURES.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def render(figures: Mapping[str, Any]) -> dict[Path, str]:
    """Return the text of every page and picture by its path."""
    configs: dict[str, list[str]] = {}
    for name in figures:
        configs.setdefault(strategy_of(name), []).append(name)
    files = {PAGES / "README.md": index(configs, figures)}
    files[PICTURES / "receptive_fields.svg"] = draw([panel(name, figures[name]) for name in TOY])
    for strategy, names in configs.items():
        files[PAGES / f"{strategy}.md"] = page(strategy, names, figures)
        panels = [panel(name, figures[name]) for name in distinct(names, figures)]
        files[PICTURES / "models" / f"{strategy}.svg"] = draw(panels)
    return files


def page(strategy: str, names: list[str], figures: Mapping[str, Any]) -> str:
    """Write a strategy's page."""
    title, _, body = docstring(strategy).partition("\n")
    example = names[0]
    rows = [
        f"| [`{name}`](../../conf/model/{name}.yaml) | {clip_text(figures[name])} | "
        f"{figures[name]['num_classes']} | {figures[name]['parameters']:,} | "
        f"{giga(figures[name]['macs'])} | {giga(2 * figures[name]['macs'])} | "
        f"{published_text(name, figures[name])} |"
        for name in names
    ]
    shown = ", ".join(f"`{name}`" for name in distinct(names, figures))
    return "\n".join(
        [
            f"<!-- written by `make docs` from videoclf/models/{strategy}.py and conf/model -->",
            f"# {title.rstrip('.')}",
            emphasise(body.strip()),
            "",
            f"![How the receptive field of {shown} grows](../images/models/{strategy}.svg)",
            "",
            (
                f"How the receptive field grows: {shown}. The strip is the clip, a cell a "
                "frame; the square is the crop. Filled is what a unit amid a layer sees."
            ),
            "",
            "| config | clip | classes | parameters | GMACs | GFLOPs | published |",
            "|---|---|--:|--:|--:|--:|---|",
            *rows,
            "",
            "GMACs count a multiply-add once, GFLOPs twice; both are those of one clip.",
            "",
            "```",
            f"python train.py model={example} data=folder data.root=/my/videos",
            f"videoclf profile model={example}{' --published' if published(example) else ''}",
            "```",
            "",
            (
                f"Code: [videoclf/models/{strategy}.py](../../videoclf/models/{strategy}.py). "
                "Accuracy, as measured: [every strategy, the same data](../strategies.md). "
                "[All models](README.md)."
            ),
            "",
        ]
    )


def index(configs: Mapping[str, list[str]], figures: Mapping[str, Any]) -> str:
    """Write the table of all models."""
    rows = []
    for strategy in sorted(configs):
        for place, name in enumerate(configs[strategy]):
            figure = figures[name]
            first, last = figure["layers"][0], last_map(figure)
            rows.append(
                f"| {f'[{strategy}]({strategy}.md)' if place == 0 else ''} | `{name}` | "
                f"{clip_text(figure)} | {figure['parameters']:,} | {giga(figure['macs'])} | "
                f"{field_text(first)} | {field_text(last)} |"
            )
    return "\n".join(
        [
            "<!-- written by `make docs` from videoclf/models and conf/model -->",
            "# Models",
            (
                "Each answers when a network fuses time. Late fusion sees one frame until "
                "the very end, early fusion all frames at once, and a 3D CNN ever more of them:"
            ),
            "",
            (
                "![Receptive fields of late fusion, early fusion and a 3D CNN]"
                "(../images/receptive_fields.svg)"
            ),
            "",
            (
                "Parameters and multiply-accumulates (GMACs) are those of a clip of the size "
                "given, that of the published figures where there are any. The field is the part "
                "of the clip, frames x height x width, that a unit amid a layer depends on: "
                "of the first layer, and of the last one that still has a map. `videoclf profile "
                "model=<config>` shows every layer; [how they compare](../strategies.md)."
            ),
            "",
            "| strategy | config | clip | parameters | GMACs | field, first layer | last map |",
            "|---|---|---|--:|--:|---|---|",
            *rows,
            "",
        ]
    )


def docstring(strategy: str) -> str:
    """Return a model file's docstring."""
    tree = ast.parse(model_file(strategy).read_text(encoding="utf-8"))
    return ast.get_docstring(tree) or ""


def emphasise(body: str) -> str:
    """Set the two phrases that every docstring has in bold."""
    return re.sub(r"^(When to use it|Sources?):", r"**\1:**", body, flags=re.MULTILINE)


def distinct(names: list[str], figures: Mapping[str, Any]) -> list[str]:
    """Choose the configs to draw: those that see differently, at most three."""
    chosen: dict[str, str] = {}
    for name in names:
        seen = json.dumps([[x["frames"], x["box"]] for x in figures[name]["layers"]])
        chosen.setdefault(seen, name)
    return list(chosen.values())[:MOST_PANELS]


def panel(name: str, figure: Mapping[str, Any]) -> Panel:
    """Return a config's part of a picture."""
    return Panel(
        title=name,
        subtitle=f"{figure['num_frames']} frames of {figure['crop_pixels']} x "
        f"{figure['crop_pixels']}",
        layers=[(layer["name"], field(layer)) for layer in figure["layers"]],
        crop_pixels=figure["crop_pixels"],
    )


def field(layer: Mapping[str, Any]) -> Field:
    """Return a layer's field as it was measured."""
    top, left, height, width = layer["box"]
    return Field(
        frames=tuple(seen == "1" for seen in layer["frames"]),
        height_pixels=height,
        width_pixels=width,
        top_pixels=top,
        left_pixels=left,
    )


def field_text(layer: Mapping[str, Any]) -> str:
    """Write a field, T x H x W."""
    return "x".join(map(str, field(layer).size))


def last_map(figure: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the last layer whose output still has places, or the last of all."""
    maps = [
        layer
        for layer in figure["layers"]
        if len(layer["output"]) >= 3 and not layer["name"].startswith("(")
    ]
    last: Mapping[str, Any] = (maps or figure["layers"])[-1]
    return last


def clip_text(figure: Mapping[str, Any]) -> str:
    """Write a clip's size."""
    return f"{figure['num_frames']}x{figure['crop_pixels']}x{figure['crop_pixels']}"


def giga(number: int) -> str:
    """Write a count of operations in 10^9, three digits of it at least."""
    return f"{number / 1e9:.3f}" if number < 1e11 else f"{number / 1e9:.1f}"


def published_text(name: str, figure: Mapping[str, Any]) -> str:
    """Write what is published of a network at the same input."""
    rows = [
        row
        for row in published(name)
        if (row.num_frames, row.crop_pixels) == (figure["num_frames"], figure["crop_pixels"])
        and row.num_classes in (0, figure["num_classes"])
    ]
    return "; ".join(_row_text(row) for row in rows) or "-"


def _row_text(row: Published) -> str:
    parameters = f"{int(row.parameters):,}" if row.parameters.isdigit() else row.parameters
    without = ", without the classifier" if row.num_classes == 0 else ""
    return f"{parameters} / {row.gmacs or '-'} ({row.source}{without})"


if __name__ == "__main__":
    main()
