"""The measured table of a page in docs/, between two markers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


def fill_table(page: Path, lines: Iterable[str]) -> None:
    """Put lines between the markers of a page, in place of what stands there.

    Raises:
        ValueError: the page lacks the markers.
    """
    text = page.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise ValueError(f"{page} lacks the line {BEGIN} or {END}; put them back")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    body = "\n".join(lines)
    page.write_text(f"{before}{BEGIN}\n{body}\n{END}{after}", encoding="utf-8")
