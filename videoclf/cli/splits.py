"""`videoclf splits`: the mean over official splits, as UCF-101 and HMDB-51 are reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from videoclf.comparing.splits import SplitMean


def run(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN",
            help="Run folders, one a split and seed, or folders of such.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write all numbers as JSON.")
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(help="What is averaged.", show_default="the headline of the reports"),
    ] = None,
) -> None:
    """Average runs of one recipe over the official splits of UCF-101 or HMDB-51.

    Each split counts once. Runs may differ in data.split and in their seed,
    and in nothing else; seeds of one split are averaged first.

    [dim]$[/dim] python train.py -m data=ucf101 data.split=1,2,3 name=splits ...
    [dim]$[/dim] videoclf splits runs/splits
    """
    from videoclf.cache import atomic_write
    from videoclf.comparing.finished_run import find_run_folders, read_run
    from videoclf.comparing.splits import mean_over_splits
    from videoclf.errors import ConfigError, StorageError

    folders = find_run_folders(runs)
    if folders.unfinished:
        raise ConfigError(
            f"{folders.unfinished[0]} is not finished; a mean leaves no run out: finish it, or "
            "name the runs one by one"
        )
    found = mean_over_splits([read_run(folder) for folder in folders.runs], metric=metric)
    _print(found)
    if output is not None:
        try:
            with atomic_write(output) as temporary:
                temporary.write_text(json.dumps(_plain(found), indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise StorageError(f"cannot write {output}: {error.strerror}; name another") from error


def _print(found: SplitMean) -> None:
    from rich.table import Table
    from rich.text import Text

    from videoclf.cli.tables import output_console
    from videoclf.reports.wording import share

    console = output_console()
    table = Table.grid(padding=(0, 3))
    for split, value in found.values.items():
        seeds = ", ".join(str(run.folder) for run in found.runs[split])
        table.add_row(Text(f"split {split}"), Text(share(value)), Text(seeds, style="dim"))
    interval = (
        ""
        if found.interval is None
        else "95 % over videos {} to {}".format(*map(share, found.interval))
    )
    table.add_row(Text("mean", style="bold"), Text(share(found.mean), style="bold"), interval)
    console.print(table)
    console.print(Text(found.name))
    if found.lacking:
        console.print(
            Text(
                f"Of the official splits {', '.join(map(str, found.lacking))} are lacking: this "
                "is not the number that papers report.",
                style="yellow",
            )
        )


def _plain(found: SplitMean) -> dict[str, Any]:
    return {
        "format": "videoclf splits 1",
        "metrics": {found.name: found.mean},
        "intervals": {} if found.interval is None else {found.name: list(found.interval)},
        "splits": {
            str(split): {
                "value": value,
                "runs": [str(run.folder) for run in found.runs[split]],
                "seeds": [run.seed for run in found.runs[split]],
            }
            for split, value in found.values.items()
        },
        "lacking": list(found.lacking),
    }
