import pytest
import torch

from videoclf.models.blocks.positions import (
    relative_positions,
    resize_in_line,
    resize_in_space,
    resize_in_time,
)


def test_positions_of_the_same_size_are_the_learned_ones():
    square, line = torch.randn(1, 9, 4), torch.randn(1, 5, 4)
    assert resize_in_space(square, (3, 3)) is square
    assert resize_in_time(line, 5) is line


def test_what_is_interpolated_is_said_once(caplog):
    caplog.set_level("INFO", logger="videoclf")
    for _ in range(2):  # sizes of no other test
        assert resize_in_space(torch.randn(1, 121, 4), (17, 19)).shape == (1, 323, 4)
        assert resize_in_time(torch.randn(1, 23, 4), 29).shape == (1, 29, 4)
    assert [record.getMessage() for record in caplog.records] == [
        "positions of patches, learned for 11 x 11, are interpolated to 17 x 19",
        "positions of time steps, learned for 23, are interpolated to 29",
    ]


def test_interpolation_in_a_line_is_linear():
    line = torch.tensor([0.0, 2.0, 4.0])[None, :, None]
    assert resize_in_line(line, 6).flatten().tolist() == pytest.approx([0, 0.5, 1.5, 2.5, 3.5, 4])


@pytest.mark.parametrize(
    ("num_queries", "num_keys", "rows"),
    [
        (3, 3, [[2, 1, 0], [3, 2, 1], [4, 3, 2]]),
        (4, 2, [[2, 0], [3, 1], [4, 2], [5, 3]]),
        (2, 4, [[3, 2, 1, 0], [5, 4, 3, 2]]),
        (7, 4, [[5, 3, 1, 0], [6, 4, 2, 1], [7, 5, 3, 2], [8, 6, 4, 3], [9, 7, 5, 4]]),
    ],
)
def test_distances_of_queries_from_keys(num_queries, num_keys, rows):
    table = torch.arange(2.0 * max(num_queries, num_keys) - 1)[:, None]
    found = relative_positions(table, num_queries, num_keys)[..., 0]
    assert found[: len(rows)].tolist() == rows
