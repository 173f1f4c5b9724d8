import xml.etree.ElementTree as ET

from videoclf.ladder.cells import Cell
from videoclf.ladder.heat_map import draw
from videoclf.ladder.strategies import STRATEGIES
from videoclf.ladder.tables import accuracy_table
from videoclf.ladder.tasks import COLUMNS
from videoclf.ladder.verdicts import Verdict, entries, flags, sentence


def verdict(row, column, measured, name, task, *tests):
    cells = {
        Cell(strategy=row(name), column=column(task), seed=seed): measured(test)
        for seed, test in enumerate(tests)
    }
    (entry,) = entries(cells)
    return entry.verdict


def test_verdicts(row, column, measured):
    def of(*words):
        return verdict(row, column, measured, *words)

    assert of("single frame", "speed", 1 / 3) is Verdict.PROVEN
    assert of("single frame", "speed", 1 / 3, 0.336) is Verdict.BROKEN
    assert of("early fusion", "speed", 0.95, 0.9) is Verdict.KEPT
    assert of("early fusion", "speed", 0.95, 0.8) is Verdict.MISSED
    assert of("early fusion", "time_shift", 0.7, 0.3) is Verdict.OPEN
    assert of("CNN + LSTM", "speed", 0.2) is Verdict.OPEN


def test_a_control_that_learns_is_flagged_and_chance_is_not(row, column, measured):
    control = column("control")
    cells = {
        Cell(strategy=strategy, column=control, seed=0): measured(0.5 + 0.01 * (place % 3))
        for place, strategy in enumerate(STRATEGIES)
    }
    assert flags(entries(cells)) == []
    cells[Cell(strategy=row("3D CNN"), column=control, seed=0)] = measured(0.6)
    (flag,) = flags(entries(cells))
    assert flag.entry.strategy.name == "3D CNN"
    assert flag.p_value < 0.001


def test_a_row_in_words(row, column, measured):
    cells = {
        Cell(strategy=row("3D CNN"), column=column(task), seed=0): measured(test)
        for task, test in (
            ("appearance", 1.0),
            ("event_order_12", 0.5),
            ("speed", 0.6),
            ("shell_game", 0.35),
            ("time_shift", 0.8),
        )
    }
    assert sentence(row("3D CNN"), entries(cells)) == (
        "Sees: appearance (1.00). Sees in part: time shift (0.80). Cannot, by a theorem, and did "
        "not: event order 12 (0.50). Did not, though predicted: speed (0.60). Did not, and nothing "
        "had been said: shell game (0.35)."
    )
    assert sentence(row("SlowFast"), entries(cells)) == "Not run."


def test_picture_and_table_leave_empty_what_was_not_run(row, column, measured):
    cells = {
        Cell(strategy=row("3D CNN"), column=column("speed"), seed=seed): measured(test)
        for seed, test in enumerate((0.5, 0.75))
    }
    found = entries(cells)
    picture = draw(STRATEGIES, COLUMNS, found)
    tree = ET.fromstring(picture)
    texts = [element.text for element in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert ".62" in texts
    assert texts.count("single frame") == 1
    titles = [element.text for element in tree.iter("{http://www.w3.org/2000/svg}title")]
    assert any("test 0.500, 0.750" in title and "prediction missed" in title for title in titles)
    table = list(accuracy_table(STRATEGIES, COLUMNS, found))
    assert next(line for line in table if "0.62 * (0.62)" in line).startswith("| 3D CNN |")
    assert sum(line.count("|  |") > 0 for line in table) >= len(STRATEGIES) - 1
