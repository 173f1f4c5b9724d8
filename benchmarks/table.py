"""The rows that a benchmark gives, and the table in docs/benchmarks.md that they end in.

A benchmark is a script in this folder. It compares in one run what does the same work, asserts
that the results are equal where both sides promise the same, and ends so:

    def measure(*, quick: bool) -> Iterator[Row]:
        ...                      # `quick`: tiny sizes, to see that the script works at all

    if __name__ == "__main__":
        report(measure)

`python benchmarks/<script>.py` then prints its rows as text; `--json` prints them as JSON lines;
`--quick` as above. To join the table, add the script's name to `SCRIPTS` here, in the order of
rows. `make bench` runs all of them and rewrites the table; `make bench BENCH="growth step"` runs
some and leaves the other rows as they are. Nobody types numbers into the table.

A peer that is not installed is skipped by name (`Row.skipped`), which the table then shows.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

SCRIPTS = (
    "clip_loading",
    "repeated_clips",
    "train_transform",
    "multiview_read",
    "multiview_eval",
    "manifest_startup",
    "growth",
    "train_step",
)
FOLDER = Path(__file__).parent
DOCUMENT = FOLDER.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
PACKAGES = ("torch", "torchvision", "av", "decord", "torchcodec", "pytorchvideo", "pyarrow")


@dataclass(frozen=True)
class Row:
    """One measured figure.

    `value` is a median with its quartiles `low` and `high`; None where a side was skipped, for
    the reason in `note`. The unit "x" is a ratio, "" a bare number such as an exponent.
    """

    compared: str
    value: float | None
    low: float | None = None
    high: float | None = None
    unit: str = "x"
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @classmethod
    def skipped(cls, compared: str, reason: str) -> Row:
        """Stand for a comparison that could not be made here."""
        return cls(compared, None, note=f"skipped: {reason}")

    @property
    def measured(self) -> str:
        """The figure with its quartiles, as the table shows it."""
        if self.value is None:
            return self.note
        text = _number(self.value) + self._suffix
        if self.low is not None and self.high is not None:
            text += f" ({_number(self.low)} to {_number(self.high)})"
        return f"{text}; {self.note}" if self.note else text

    @property
    def target(self) -> str:
        """The bound that was set before measuring, if any."""
        if self.at_least is not None:
            return f"at least {_number(self.at_least)}{self._suffix}"
        if self.at_most is not None:
            return f"at most {_number(self.at_most)}{self._suffix}"
        return ""

    @property
    def verdict(self) -> str:
        """Met, missed, or nothing where there is no target or no figure."""
        if self.value is None or not self.target:
            return ""
        met = (self.at_least is None or self.value >= self.at_least) and (
            self.at_most is None or self.value <= self.at_most
        )
        return "met" if met else "**missed**"

    @property
    def _suffix(self) -> str:
        return self.unit if self.unit in ("x", "") else f" {self.unit}"


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"


def report(measure: Callable[..., Iterable[Row]]) -> None:
    """Run a benchmark as its script's command line asks, and print each row when it is known."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a row")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it work at all?")
    arguments = parser.parse_args()
    for row in measure(quick=arguments.quick):
        if arguments.json:
            print(json.dumps(asdict(row)), flush=True)
        else:
            parts = (row.compared, row.measured, row.target, row.verdict.strip("*"))
            print(" | ".join(part for part in parts if part), flush=True)


def table_line(script: str, row: Row, where: str) -> str:
    """Return one line of the Markdown table."""
    cells = (f"`{script}`", row.compared, row.measured, row.target, row.verdict, where)
    return "| " + " | ".join(cells) + " |"


def rewrite(document: str, lines: dict[str, list[str]], versions: str) -> str:
    """Put new table lines, by script, between the markers of a document; keep the other scripts'.

    Raises:
        ValueError: the document lacks the markers.
    """
    if BEGIN not in document or END not in document:
        raise ValueError(f"{DOCUMENT.name} lacks the line {BEGIN} or {END}; put them back")
    head, _, rest = document.partition(BEGIN)
    old, _, tail = rest.partition(END)
    kept = {
        name: [x for x in old.splitlines() if x.startswith(f"| `{name}` |")] for name in SCRIPTS
    }
    body = [line for name in SCRIPTS for line in lines.get(name, kept[name])]
    heading = [
        "| Benchmark | Compared | Median (quartiles) | Target | | Measured |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join(
        [f"{head}{BEGIN}", *heading, *body, "", f"Last run with {versions}.", f"{END}{tail}"]
    )


def versions() -> str:
    """Name the versions that a figure depends on; absent packages are left out."""
    installed = {found.name.lower(): found.version for found in importlib.metadata.distributions()}
    present = [f"{name} {installed[name]}" for name in PACKAGES if name in installed]
    return ", ".join([f"Python {platform.python_version()}", *present])


def main() -> None:
    """Run scripts, each in a process of its own with one thread, and rewrite the table."""
    parser = argparse.ArgumentParser(description="Run benchmarks and rewrite docs/benchmarks.md.")
    parser.add_argument("scripts", nargs="*", default=SCRIPTS, help="names; all by default")
    parser.add_argument("--machine", default=f"{os.cpu_count()} CPU cores", help="for the table")
    arguments = parser.parse_args()
    if unknown := set(arguments.scripts) - set(SCRIPTS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {SCRIPTS}")
    where = f"{dt.date.today()}, {arguments.machine}"
    for name in arguments.scripts:
        print(f"{name}:", flush=True)
        command = [sys.executable, str(FOLDER / f"{name}.py"), "--json"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as run:
            assert run.stdout is not None
            rows = []
            for line in run.stdout:
                rows.append(Row(**json.loads(line)))
                print(f"  {rows[-1].compared}: {rows[-1].measured}", flush=True)
        if run.returncode:
            sys.exit(f"benchmarks/{name}.py ended with exit code {run.returncode}")
        lines = {name: [table_line(name, row, where) for row in rows]}
        DOCUMENT.write_text(rewrite(DOCUMENT.read_text(), lines, versions()))


if __name__ == "__main__":
    main()
