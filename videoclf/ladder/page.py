"""`ladder.html`, `.svg`, `.md` and `.json`, and `distances.svg`: a ladder as it stands."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2
import yaml
from markupsafe import Markup

from videoclf import reports
from videoclf.cache import atomic_write
from videoclf.comparing.costs import network_cost
from videoclf.ladder.cells import Cell, Measured
from videoclf.ladder.distance_picture import draw_distances
from videoclf.ladder.heat_map import draw
from videoclf.ladder.strategies import Strategy
from videoclf.ladder.tables import accuracy_table
from videoclf.ladder.tasks import Column
from videoclf.ladder.verdicts import Entry, Verdict, entries, flags, sentence

TEMPLATES = (Path(__file__).parent, Path(reports.__file__).parent)
HEADER = (
    "strategy",
    "parameters",
    "MMACs a clip",
    "ms a step",
    "cells",
    "seeds at 0.90 or more",
)


def write_page(
    cells: Mapping[Cell, Measured],
    strategies: Sequence[Strategy],
    columns: Sequence[Column],
    *,
    num_seeds: int,
    output: Path,
) -> list[Entry]:
    """Write the page and its parts into `output`; return the joined cells.

    Args:
        cells: those that were run; of tasks beyond the columns only distances are shown.
        strategies: rows, in their order.
        columns: tasks of the heat map, in their order.
        num_seeds: of a whole ladder.
        output: folder of the runs.
    """
    found = entries(cells)
    picture = draw(strategies, columns, found)
    distances = draw_distances(strategies, found)
    in_columns = [entry for entry in found if entry.column in columns]
    costs = [_row(strategy, cells, output) for strategy in strategies]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template("ladder.html.j2").render(
        num_cells=sum(cell.column in columns for cell in cells),
        num_wanted=len(strategies) * len(columns) * num_seeds,
        num_seeds=num_seeds,
        broken=[broken_sentence(e) for e in found if e.verdict is Verdict.BROKEN],
        flagged=[
            f"{flag.entry.strategy.name} differs from chance on {flag.entry.column.name}: "
            f"{flag.entry.test:.3f} (p = {flag.p_value:.2g}, Holm's correction)"
            for flag in flags(found)
        ],
        heat_map=Markup(picture),  # our own drawing; its texts are escaped there
        distances=Markup(distances) if distances else "",
        rows=[(strategy.name, sentence(strategy, in_columns)) for strategy in strategies],
        header=HEADER,
        table=costs,
    )
    texts = {
        "ladder.svg": picture,
        "ladder.html": html,
        "ladder.md": "\n".join(accuracy_table(strategies, columns, found)) + "\n",
        "ladder.json": json.dumps(_plain(found), indent=1) + "\n",
        **({"distances.svg": distances} if distances else {}),
    }
    for name, text in texts.items():
        with atomic_write(output / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return found


def broken_sentence(entry: Entry) -> str:
    """Say which cell exceeds its ceiling, and what that means."""
    highest = max(each.test for each in entry.measured)
    return (
        f"{entry.strategy.name} scores {highest:.4f} on {entry.column.name}, above the ceiling of "
        f"{entry.said.ceiling:.4f} ({entry.said.reason}): its implementation, the data or the "
        "theorem is wrong"
    )


def _row(
    strategy: Strategy, cells: Mapping[Cell, Measured], output: Path
) -> tuple[str, str, str, str, str, str]:
    own = {cell: measured for cell, measured in cells.items() if cell.strategy == strategy}
    if not own:
        return (strategy.name, "", "", "", "0", "")
    cell, measured = next(iter(own.items()))
    config = cell.folder(output) / measured.attempt.folder_name / "config.yaml"
    cost = network_cost(yaml.safe_load(config.read_text(encoding="utf-8")))
    expected = sum(each.test >= 0.9 for each in own.values())
    return (
        strategy.name,
        f"{cost.parameters:,}",
        f"{cost.macs / 1e6:,.1f}",
        f"{1e3 * statistics.fmean(each.seconds_a_step for each in own.values()):.0f}",
        str(len(own)),
        f"{expected / len(own):.2f}",
    )


def _plain(found: Sequence[Entry]) -> list[dict[str, object]]:
    return [
        {
            "strategy": entry.strategy.name,
            "overrides": list(entry.strategy.overrides),
            "task": entry.column.name,
            "chance": 1 / entry.column.num_classes,
            "claim": entry.said.claim.value,
            "ceiling": entry.said.ceiling,
            "reason": entry.said.reason,
            "verdict": entry.verdict.value,
            "test": [each.test for each in entry.measured],
            "train": [each.train for each in entry.measured],
            "val": [each.val for each in entry.measured],
            "learning_rate": [each.attempt.rate for each in entry.measured],
            "epochs": [each.attempt.epochs for each in entry.measured],
            "attempts": [each.num_attempts for each in entry.measured],
            "seconds": [each.seconds for each in entry.measured],
        }
        for entry in found
    ]
