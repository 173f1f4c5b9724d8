"""What the terminal shows at the end of a run: the numbers, and where everything lies."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from videoclf.reports import wording
from videoclf.reports.ensembles import MembersTable, members_table
from videoclf.reports.results import Results

#: Missing videos named in the terminal; results.json lists them all.
MAX_NAMED = 3


def print_summary(results: Results, run_folder: Path, console: Console | None = None) -> None:
    """Print metrics by protocol name, counts, timing, and the paths of what was written.

    Names of files and classes are printed as they are: nothing in them is read as markup.
    """
    console = console or Console()
    console.print()
    console.print(_metrics_table(results))
    console.print(_counts(results), soft_wrap=True)
    if members := members_table(results.ensemble):
        console.print()
        console.print(_members(members))
        for sentence in members.sentences:
            console.print(Text(sentence, style="dim"), soft_wrap=True)
        console.print()
    if changed := wording.inference_changes(results):
        console.print(Text(changed, style="dim"), soft_wrap=True)
    if timing := _timing(results):
        console.print(Text(timing, style="dim"), soft_wrap=True)
    console.print()
    for name, path in _paths(run_folder):
        console.print(Text.assemble((f"{name:<8}", "dim"), str(path)), soft_wrap=True)


def _metrics_table(results: Results) -> Table:
    table = Table.grid(padding=(0, 3))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    if results.intervals:
        table.add_column(style="dim", no_wrap=True)
    first = wording.headline_metric(results)
    for name in ([first] if first else []) + wording.other_metrics(results):
        style = "bold" if name == first else ""
        cells = [Text(name, style=style), Text(wording.share(results.metrics[name]), style=style)]
        if interval := results.intervals.get(name):
            cells.append(Text(f"{interval[0]:.3f} to {interval[1]:.3f}"))
        table.add_row(*cells)
    return table


def _members(members: MembersTable) -> Table:
    table = Table.grid(padding=(0, 3))
    for place, _ in enumerate(members.titles):
        table.add_column(justify="right" if place else "left", overflow="fold")
    for row in (members.titles, *members.rows):
        table.add_row(*(Text(text, style="dim" if row is members.titles else "") for text in row))
    return table


def _counts(results: Results) -> Text:
    counts = results.counts
    words = (
        f"{wording.plural(counts['expected'], 'video')} listed, {counts['evaluated']:,} evaluated"
    )
    if not counts["missing"]:
        return Text(words, style="dim")
    text = Text(f"{words}, {counts['missing']:,} missing (counted as wrong)", style="bold yellow")
    for entry in results.missing[:MAX_NAMED]:
        text.append(f"\n  {entry.get('path', '')}: {entry.get('reason', '')}")
    if len(results.missing) > MAX_NAMED:
        text.append(f"\n  and {len(results.missing) - MAX_NAMED:,} more in results.json")
    return text


def _timing(results: Results) -> str:
    timing = results.timing
    parts = [
        ("", wording.seconds_in_words(timing.get("wall_seconds")), " in all"),
        ("training ", wording.seconds_in_words(timing.get("train_seconds")), ""),
        ("evaluation ", wording.seconds_in_words(timing.get("evaluate_seconds")), ""),
        ("", wording.number(timing.get("clips_per_second")), " clips/s"),
        ("", wording.percent(timing.get("data_wait_share")), " of the time waiting for data"),
    ]
    return ", ".join(f"{a}{text}{z}" for a, text, z in parts if text != wording.DASH)


def _paths(run_folder: Path) -> list[tuple[str, Path]]:
    paths = [
        ("run", run_folder),
        ("best", run_folder / "checkpoints" / "best.ckpt"),
        ("report", run_folder / "report.html"),
    ]
    return [(name, path) for name, path in paths if path.exists()]
