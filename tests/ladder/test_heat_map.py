from videoclf.ladder.heat_map import draw


def test_a_square_that_was_not_run_shows_its_ceiling_and_no_figure(row, column):
    picture = draw([row("single frame"), row("CNN + LSTM")], [column("event_order_4")], [])
    assert "single frame, event_order_4: not run; at most 0.50: blind to order" in picture
    assert "CNN + LSTM, event_order_4: not run<" in picture
    assert picture.count('height="2.5"') == 2  # the ceiling's bar, and the key's
    assert ">.50</text>" not in picture
