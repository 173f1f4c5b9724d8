"""`compare.md`: the tables of a comparison for a README."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from videoclf.comparing import wording
from videoclf.comparing.comparison import Table
from videoclf.reports.wording import DASH

#: What would be read as markup: names come from configs and folders. An underscore inside a word
#: is none.
_MARKUP = re.compile(r"([\\`*\[\]|~#]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")


def markdown(title: str, tables: Sequence[Table]) -> str:
    """Return a heading, a table a part, and what was tested."""
    lines = [f"# {_plain(title)}", ""]
    for table in tables:
        if len(tables) > 1:
            lines += [f"## {_plain(wording.table_title(table))}", ""]
        lines += _rows(table)
        lines += [""] + [_plain(sentence) + "\n" for sentence in wording.sentences(table)]
        if table.pairs:
            lines += [wording.CHECKPOINTS_NOT_STRATEGIES, ""]
            said = [wording.pair_sentence(pair, len(table.pairs)) for pair in table.pairs]
            lines += [f"- {_plain(sentence)}" for sentence in said] + [""]
    return "\n".join(lines)


def _rows(table: Table) -> list[str]:
    names = wording.columns(table)
    rows = [wording.cells(row) for row in table.rows]
    # a column that says nothing of any row is left out
    kept = [k for k in range(len(names)) if any(row[k] not in ("", DASH) for row in rows)]
    ruler = ["---" if k < 2 else "---:" for k in kept]
    lines = [[_plain(line[k]) for k in kept] for line in (names, *rows)]
    return [f"| {' | '.join(line)} |" for line in (lines[0], ruler, *lines[1:])]


def _plain(text: str) -> str:
    """Let a text stand for itself: one line, nothing in it read as markup."""
    return html.escape(_MARKUP.sub(r"\\\1", " ".join(text.split())), quote=False)
