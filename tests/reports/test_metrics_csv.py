import math

import pytest

from videoclf.reports.metrics_csv import MetricsTable, read_metrics


@pytest.fixture
def table(tmp_path):
    seconds = iter(range(1000))
    return MetricsTable(tmp_path / "metrics.csv", clock=lambda: float(next(seconds)))


def test_a_new_metric_becomes_a_column_and_cells_stay_sparse(table):
    table.append({"train/loss": 2.0}, epoch=0, step=1)
    table.append({"val/loss": 1.5}, epoch=0, step=2)
    assert table.path.read_text().splitlines() == [
        "epoch,step,time_seconds,train/loss,val/loss",
        "0,1,1.000,2,",
        "0,2,2.000,,1.5",
    ]
    assert read_metrics(table.path) == {
        "epoch": [(1, 0.0), (2, 0.0)],
        "time_seconds": [(1, 1.0), (2, 2.0)],
        "train/loss": [(1, 2.0)],
        "val/loss": [(2, 1.5)],
    }


def test_known_columns_are_appended_without_a_rewrite(table):
    table.append({"loss": 1.0}, epoch=None, step=1)
    inode = table.path.stat().st_ino
    table.append({"loss": 0.5}, epoch=None, step=2)
    assert table.path.stat().st_ino == inode
    assert read_metrics(table.path)["loss"] == [(1, 1.0), (2, 0.5)]


def test_a_resumed_run_drops_what_it_measures_again(tmp_path, table):
    for step in (1, 2, 3):
        table.append({"loss": float(step)}, epoch=0, step=step)
    resumed = MetricsTable(table.path, clock=lambda: 50.0)
    resumed.truncate_after(2)
    resumed.append({"loss": 7.0}, epoch=0, step=3)
    metrics = read_metrics(table.path)
    assert metrics["loss"] == [(1, 1.0), (2, 2.0), (3, 7.0)]
    assert metrics["time_seconds"][-1] == (3, 2.0)  # goes on where step 2 was


def test_half_a_line_is_dropped(table):
    table.append({"loss": 1.0}, epoch=0, step=1)
    table.append({"loss": 2.0}, epoch=0, step=2)
    with table.path.open("a") as file:
        file.write("0,3,9.0,0.")
    assert read_metrics(table.path)["loss"] == [(1, 1.0), (2, 2.0)]
    again = MetricsTable(table.path)
    again.append({"loss": 4.0}, epoch=0, step=4)
    assert read_metrics(table.path)["loss"] == [(1, 1.0), (2, 2.0), (4, 4.0)]


def test_half_a_header_is_replaced(table):
    table.path.write_text("epoch,st")
    again = MetricsTable(table.path)
    again.append({"loss": 4.0}, epoch=0, step=1)
    assert read_metrics(table.path)["loss"] == [(1, 4.0)]


def test_opening_writes_nothing(table):
    table.append({"loss": 1.0}, epoch=0, step=1)
    table.path.write_text(table.path.read_text() + "0,2")
    before = table.path.read_bytes()
    MetricsTable(table.path)
    assert table.path.read_bytes() == before


def test_the_last_value_of_a_step_counts_and_nan_is_kept(table):
    table.append({"loss": 1.0}, epoch=0, step=1)
    table.append({"loss": math.nan, 'odd, "name"': 3.0}, epoch=0, step=1)
    metrics = read_metrics(table.path)
    assert math.isnan(metrics["loss"][0][1])
    assert metrics['odd, "name"'] == [(1, 3.0)]


def test_no_file_gives_no_columns(tmp_path):
    assert read_metrics(tmp_path / "metrics.csv") == {}


def test_truncating_nothing_is_fine(table):
    table.truncate_after(5)
    assert not table.path.exists()
