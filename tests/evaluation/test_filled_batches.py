import pytest
import torch

from videoclf.evaluation.filled_batches import FilledBatches


@pytest.mark.parametrize("at_once", [1, 4, 7, 100])
def test_groups_of_any_size_are_run_in_full_batches_and_come_back_in_order(at_once):
    sizes = []

    def network(inputs):
        sizes.append(len(inputs["a"]))
        return 2 * inputs["a"] + inputs["b"]

    filled = FilledBatches(network, at_once=at_once)
    groups = [torch.arange(start, start + n).float() for start, n in ((0, 3), (3, 10), (13, 1))]
    done = []
    for number, group in enumerate(groups):
        done += filled.add({"a": group, "b": torch.ones_like(group)}, number)
    done += filled.rest()
    assert [tag for tag, _ in done] == [0, 1, 2]
    for (_, found), group in zip(done, groups, strict=True):
        assert torch.equal(found, 2 * group + 1)
    assert sum(sizes) == 14
    assert set(sizes[:-1]) <= {at_once}


def test_a_group_is_given_back_as_soon_as_it_is_done():
    filled = FilledBatches(lambda inputs: inputs["a"], at_once=4)
    assert filled.add({"a": torch.zeros(3)}, "first") == []
    done = filled.add({"a": torch.ones(2)}, "second")
    assert [(tag, found.tolist()) for tag, found in done] == [("first", [0, 0, 0])]
    assert [tag for tag, _ in filled.rest()] == ["second"]
    assert filled.rest() == []
