import pytest


def test_growth_is_the_exponent(script):
    growth = script("length_scaling").growth
    assert growth({n: 0.1 * n for n in (8, 32, 128)}) == pytest.approx(1)
    assert growth({n: 0.1 * n**2 for n in (8, 32, 128)}) == pytest.approx(2)


@pytest.mark.parametrize("network", [("whole", "3D convolution"), ("alone", "LSTM")])
def test_a_point_is_measured(script, network):
    seconds, peak = script("length_scaling").measure_point((network, 8))
    assert seconds > 0
    assert peak >= 0


def test_the_table_has_a_row_a_network(script):
    scaling = script("length_scaling")
    lengths = (8, 32)
    points = {(network, n): (n / 1000, n * 1e6) for network in scaling.NETWORKS for n in lengths}
    lines = list(scaling.table(points, lengths))
    assert "| 3D convolution | 8 | 32 | T^1.00 |" in lines
    assert len(lines) == 2 + 9 + 1 + 2 + 5
