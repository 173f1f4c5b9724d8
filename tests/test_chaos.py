"""Two kills of `make chaos`, which does twenty and more."""

from tests.chaos import chaos


def test_killed_runs_end_as_one_never_stopped(tmp_path):
    said = chaos(tmp_path, kills=2, seed=5, epochs=4, rows=12)
    assert said[0].startswith("2 kills")
