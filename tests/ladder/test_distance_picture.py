import xml.etree.ElementTree as ET

from videoclf.ladder.cells import Cell
from videoclf.ladder.distance_picture import draw_distances
from videoclf.ladder.predictions import Claim, say
from videoclf.ladder.strategies import STRATEGIES
from videoclf.ladder.tasks import COLUMNS, DISTANCE_COLUMNS, DISTANCES
from videoclf.ladder.verdicts import entries


def cells_of(row, measured, name, *tests, seeds=1):
    return {
        Cell(strategy=row(name), column=column, seed=seed): measured(test)
        for column, test in zip(DISTANCE_COLUMNS, tests, strict=False)
        for seed in range(seeds)
    }


def test_a_panel_a_strategy_with_its_window_and_each_seed(row, measured):
    cells = cells_of(row, measured, "3D CNN", 1.0, 1.0, 0.98, 0.9, 0.5, 0.5, seeds=2)
    cells |= cells_of(row, measured, "CNN + LSTM", *[0.95] * 6)
    cells |= cells_of(row, measured, "SlowFast", 0.9, 0.9)  # too few distances
    picture = draw_distances(STRATEGIES, entries(cells))
    root = ET.fromstring(picture)
    texts = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "3D CNN" in texts
    assert "CNN + LSTM" in texts
    assert "SlowFast" not in texts
    assert texts.count("R = 9") == 1  # the LSTM remembers the whole clip
    assert len(list(root.iter("{http://www.w3.org/2000/svg}circle"))) == 2 * 6 + 6


def test_nothing_is_drawn_of_two_distances(row, measured):
    assert draw_distances(STRATEGIES, entries(cells_of(row, measured, "3D CNN", 1, 1))) is None


def test_theorems_begin_at_the_window(row):
    claims = [say(row("3D CNN"), column).claim for column in DISTANCE_COLUMNS]
    walls = [d for d, claim in zip(DISTANCES, claims, strict=True) if claim is Claim.THEOREM]
    assert walls == [10, 12]
    assert all(say(row("single frame"), c).claim is Claim.THEOREM for c in DISTANCE_COLUMNS)


def test_distances_of_the_heat_map_are_those_of_the_curve():
    assert {c.name for c in COLUMNS if c.is_distance} == {"event_order_4", "event_order_12"}
    assert {c for c in COLUMNS if c.is_distance} <= set(DISTANCE_COLUMNS)
