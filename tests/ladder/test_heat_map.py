from videoclf.ladder.heat_map import draw


def test_a_square_that_was_not_run_shows_its_ceiling_and_no_figure(row, column):
    picture = draw([row("single frame"), row("CNN + LSTM")], [column("event_order_4")], [])
    assert "single frame, event_order_4: not run; at most 0.50: blind to order" in picture
    assert "CNN + LSTM, event_order_4: not run<" in picture
    assert picture.count("<line") == 1  # the bar of one ceiling
    assert 'stroke-dasharray="none"' in picture
    assert ">.50</text>" not in picture


def test_a_ceiling_that_holds_on_average_is_dashed(row, column):
    picture = draw([row("late fusion, FC")], [column("time_shift")], [])
    assert picture.count("<line") == 1
    assert 'stroke-dasharray="none"' not in picture
