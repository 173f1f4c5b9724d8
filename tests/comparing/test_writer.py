"""The files of a comparison: complete, escaped, drawn from known numbers."""

import json
import re

import pytest

from tests.comparing.finished_runs import make_run
from videoclf.comparing.comparison import compare
from videoclf.comparing.finished_run import read_run
from videoclf.comparing.writer import write_comparison
from videoclf.errors import StorageError

CURVE = [(9, 3.0, None), (19, 5.0, None), (19, 9.0, 0.4), (39, 13.0, None), (39, 15.0, 0.6)]
NASTY = "<script>a|b*</script>"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    wide = [("model.widths", [8, 16])]
    made = [
        make_run(folder / "a1", [1, 1, 1, 0] * 10, seed=1, curve=CURVE),
        make_run(folder / "a2", [1, 1, 0, 0] * 10, seed=2, curve=CURVE),
        make_run(folder / "b", [1, 1, 1, 1, 1, 1, 1, 0] * 5, model=NASTY, config=wide, curve=CURVE),
    ]
    return [read_run(run) for run in made]


@pytest.fixture(scope="module")
def written(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("written") / "new"
    write_comparison(folder, compare(runs), [])
    return folder


def test_the_page_needs_nothing_else_and_escapes_names(written):
    text = (written / "compare.html").read_text(encoding="utf-8")
    assert NASTY not in text
    assert "&lt;script&gt;a|b*&lt;/script&gt;" in text
    assert not re.search(r"<script|<link rel=.stylesheet|https?://|url\(", text)
    assert 'name="viewport"' in text


def test_bars_whiskers_and_dots_lie_where_the_numbers_say(written):
    text = (written / "compare.html").read_text(encoding="utf-8")
    assert 'class="fill" style="width:62.50%"' in text
    assert text.count('class="seed" style="left:75.00%"') == 1
    # 12.706 * 0.125 = 1.59: the interval over two seeds says nothing, cut to [0, 1]
    assert 'class="over-seeds" style="left:0.00%;width:100.00%"' in text
    assert text.count('class="whisker') == 4  # two rows, against operations and time
    assert "top-1 against operations" in text
    assert "million MACs a clip" in text
    assert text.count("<polyline") == 3


def test_markdown_is_a_table_of_plain_words(written):
    lines = (written / "compare.md").read_text(encoding="utf-8").splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert table[0].startswith(
        "|  | seeds | top-1 | each seed | 95 % over seeds | 95 % over videos"
    )
    assert len(table) == 4
    assert table[2].startswith(r"| &lt;script&gt;a\|b\*&lt;/script&gt; | 0 | 0.875 |")
    assert table[3].startswith("| slow_fusion | 1, 2 | 0.625 | 0.750 0.500 | 0.000 to 1.000 |")
    assert any("compares checkpoints, not strategies" in line for line in lines)
    assert any("by Holm's correction for 2 pairs" in line for line in lines)


def test_json_has_every_figure(written):
    found = json.loads((written / "compare.json").read_text(encoding="utf-8"))
    assert found["format"] == "videoclf compare 1"
    best, other = found["tables"][0]["rows"]
    assert (best["name"], best["seeds"], best["mean"]) == (NASTY, [0], 0.875)
    assert (other["values"], other["step_seconds"]) == ([0.75, 0.5], 0.2)
    assert other["parameters"] < best["parameters"]
    assert len(found["tables"][0]["pairs"]) == 2


def test_tables_that_are_not_comparable_stand_apart(runs, tmp_path):
    folder = runs[0].folder.parent / "other"
    other = read_run(make_run(folder, [1, 0] * 20, protocol=[("num_clips", 9)]))
    write_comparison(tmp_path, compare([*runs, other], allow_different=True), [folder])
    assert "## protocol.num_clips 9" in (tmp_path / "compare.md").read_text(encoding="utf-8")
    page = (tmp_path / "compare.html").read_text(encoding="utf-8")
    assert page.count("Not comparable with the other tables.") == 2
    found = json.loads((tmp_path / "compare.json").read_text(encoding="utf-8"))
    assert [len(table["rows"]) for table in found["tables"]] == [2, 1]
    assert found["unfinished"] == [str(folder)]


def test_a_folder_that_cannot_be_written(runs, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot write .*file.*; name another folder"):
        write_comparison(tmp_path / "file" / "x", compare(runs), [])
