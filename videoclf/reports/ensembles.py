"""What is told of an ensemble: its members in a table, and what it settled, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from videoclf.reports.wording import DASH, percent, plural, share

#: Column of the findings -> its title.
_TITLES = {
    "top1": "its own top-1",
    "weight": "weight",
    "share": "videos it scored",
    "cost": "cost of a video",
    "seconds": "its evaluation, seconds",
}


@dataclass(frozen=True)
class MembersTable:
    """Members of an ensemble: titles, rows of texts, the name first, and sentences."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    sentences: tuple[str, ...]


def members_table(findings: Mapping[str, Any]) -> MembersTable | None:
    """Arrange what `Results.ensemble` holds; None where it is empty."""
    members = findings.get("members")
    if not members:
        return None
    shown = [key for key in _TITLES if any(key in row for row in members)]
    titles = [_TITLES[key] for key in shown]
    if findings.get("cost_unit") and "cost" in shown:
        titles[shown.index("cost")] += f" ({findings['cost_unit']})"
    rows = [
        (str(row.get("name", "")), *(_in_words(key, row.get(key)) for key in shown))
        for row in members
    ]
    return MembersTable(("member", *titles), tuple(rows), tuple(_sentences(findings)))


def _in_words(column: str, value: float | None) -> str:
    if value is None:
        return DASH
    if column == "top1":
        return share(value)
    if column == "share":
        return percent(value)
    if column == "seconds":
        return f"{value:,.1f}"
    return f"{value:.3g}" if value < 1000 else f"{value / 1e9:,.3g} G"


def _sentences(findings: Mapping[str, Any]) -> list[str]:
    said = []
    if "ties" in findings:
        said.append(
            f"{plural(findings['ties'], 'tie')} of votes, settled by the sum of the members' "
            "probabilities."
        )
    if "threshold" in findings:
        said.append(
            f"The next member is asked where the {findings['unsure_by']} of the average so far is "
            f"below {findings['threshold']:g}."
        )
        if "relative_cost" in findings:
            said.append(f"A video costs {percent(findings['relative_cost'])} of asking all.")
        else:
            said.append("What a video costs each member is not known.")
    if "fitted_on" in findings:
        on = findings["fitted_on"]
        said.append(f"Fitted on {plural(on['videos'], 'video')} of subset {on['subset']}.")
    return said
