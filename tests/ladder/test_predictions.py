from pathlib import Path

from videoclf.ladder.predictions import Claim, say
from videoclf.ladder.strategies import STRATEGIES
from videoclf.ladder.tables import predictions_table
from videoclf.ladder.tasks import COLUMNS


def test_what_is_said_of_some_cells(row, column):
    assert say(row("single frame"), column("speed")).ceiling == 1 / 3
    assert say(row("late fusion, max"), column("motion_only")).ceiling == 0.5
    assert say(row("C2D, pooled in pairs"), column("motion_direction")).claim is Claim.THEOREM
    assert say(row("C2D, pooled in pairs"), column("speed")).claim is Claim.NONE
    assert say(row("3D CNN"), column("event_order_4")).claim is Claim.EXPECTED
    far = say(row("3D CNN"), column("event_order_12"))
    assert far.ceiling == 0.5
    assert "windows of 9 frames" in far.reason
    assert say(row("early fusion"), column("time_shift")).claim is Claim.THEOREM_ON_AVERAGE
    assert all(say(strategy, column("control")).claim is Claim.NONE for strategy in STRATEGIES)


def test_the_page_shows_what_the_code_says():
    page = (Path(__file__).parents[2] / "docs" / "ladder.md").read_text(encoding="utf-8")
    inside = page.split("<!-- predictions: begin -->")[1].split("<!-- predictions: end -->")[0]
    assert inside.strip().splitlines() == list(predictions_table(STRATEGIES, COLUMNS))
