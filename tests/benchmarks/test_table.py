"""Rows become table lines between two markers; the lines of other scripts stay."""

import pytest


@pytest.fixture
def table(script):
    return script("table")


def test_a_bound_is_met_or_missed(table):
    faster = table.Row("a clip", 2.613, 2.5, 2.7, at_least=2.5)
    assert (faster.measured, faster.target, faster.verdict) == (
        "2.61x (2.5 to 2.7)",
        "at least 2.5x",
        "met",
    )
    slower = table.Row("memory", 151.2, unit="MB", at_most=150.0)
    assert (slower.measured, slower.target, slower.verdict) == (
        "151 MB",
        "at most 150 MB",
        "**missed**",
    )
    assert table.Row("no bound", 1.0).verdict == ""


def test_a_skipped_peer_says_why(table):
    row = table.Row.skipped("against decord", "decord does not import")
    assert row.measured == "skipped: decord does not import"
    assert row.verdict == ""


def test_only_the_lines_of_the_scripts_that_ran_are_new(table):
    row = table.Row("a", 1.0)
    first = {
        "growth": [table.table_line("growth", row, "then")],
        "clip_loading": [table.table_line("clip_loading", row, "then")],
    }
    text = f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n"
    text = table.rewrite(text, first, "av 1")
    text = table.rewrite(text, {"growth": [table.table_line("growth", row, "now")]}, "av 2")
    lines = text.splitlines()
    assert lines[0] == "before"
    assert lines[-1] == "after"
    assert [line for line in lines if line.startswith("| `")] == [
        "| `clip_loading` | a | 1x |  |  | then |",
        "| `growth` | a | 1x |  |  | now |",
    ]
    assert "Last run with av 2." in lines


def test_a_document_without_markers_is_refused(table):
    with pytest.raises(ValueError, match="lacks the line <!-- table: begin -->"):
        table.rewrite("no markers", {}, "")
