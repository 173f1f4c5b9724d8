"""Two tiny trainings through the command's own processes, stopped and gone on with."""

import json
from dataclasses import replace

import pytest

from videoclf.cli.ladder_cell import train_cell
from videoclf.ladder.attempts import QUICK_EPOCHS, THEOREM_EPOCHS
from videoclf.ladder.cells import Cell, measure, read_outcomes
from videoclf.ladder.page import write_page
from videoclf.ladder.running import Budget, last_line, run_cells
from videoclf.ladder.verdicts import Verdict

FEW = ("data.num_train=48", "data.num_val=12", "data.num_test=24")


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VIDEOCLF_CACHE", str(tmp_path / "cache"))


def run(cells, output, jobs=1):
    told = []
    failed = run_cells(
        cells,
        output,
        train_cell=train_cell,
        budget=Budget(quick=True, retries=False),
        jobs=jobs,
        report=lambda *state: told.append(state),
    )
    return failed, told


@pytest.mark.usefixtures("own_cache")
def test_cells_are_trained_measured_shown_and_kept(row, column, tmp_path):
    few = {
        name: replace(column(name), overrides=(*column(name).overrides, *FEW))
        for name in ("appearance", "event_order_4")
    }
    cells = [
        Cell(strategy=row("single frame"), column=few["event_order_4"], seed=0),
        Cell(strategy=row("early fusion"), column=few["appearance"], seed=0),
    ]
    failed, told = run(cells, tmp_path / "out")
    assert failed == []
    assert told[-1] == (2, 2, 0)
    found = {cell: measure(cell.folder(tmp_path / "out")) for cell in cells}
    blind = found[cells[0]]
    assert blind.test == 0.5  # exactly: a theorem
    assert blind.attempt.epochs == THEOREM_EPOCHS
    assert found[cells[1]].attempt.epochs == QUICK_EPOCHS
    assert found[cells[1]].num_clips == 24

    runs = sorted((tmp_path / "out").rglob("results.json"))
    times = [path.stat().st_mtime_ns for path in runs]
    run(cells, tmp_path / "out")  # nothing is left to do
    assert [path.stat().st_mtime_ns for path in runs] == times
    runs[0].unlink()  # half done: begun anew
    assert read_outcomes(runs[0].parents[1]) == []
    run(cells, tmp_path / "out")
    assert measure(cells[0].folder(tmp_path / "out")).test == 0.5

    entries = write_page(
        found,
        [row("single frame"), row("early fusion")],
        list(few.values()),
        num_seeds=1,
        output=tmp_path / "out",
    )
    assert entries[0].verdict is Verdict.PROVEN
    page = (tmp_path / "out" / "ladder.html").read_text(encoding="utf-8")
    assert "Cannot, by a theorem, and did not: event order 4 (0.50)." in page
    assert "2 of 4 cells were run, one seed each" in page
    assert len(json.loads((tmp_path / "out" / "ladder.json").read_text(encoding="utf-8"))) == 2


@pytest.mark.usefixtures("own_cache")
def test_a_cell_that_fails_is_named_with_what_it_said(row, column, tmp_path):
    broken = replace(row("single frame"), overrides=("model=single_frame", "model.backbone=no"))
    cells = [
        Cell(
            strategy=broken,
            column=replace(column("appearance"), overrides=(*column("appearance").overrides, *FEW)),
            seed=0,
        )
    ]
    failed, told = run(cells, tmp_path / "out")
    (failure,) = failed
    assert failure.exit_code == 2
    assert "model.backbone='no' is no model of timm" in last_line(failure.log)
    assert told[-1] == (1, 1, 1)
