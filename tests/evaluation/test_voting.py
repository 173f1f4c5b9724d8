import numpy as np
import pytest
import torch

from videoclf.evaluation.voting import vote


def drawn(num_members, num_videos=300, num_classes=6, seed=0):
    generator = np.random.default_rng(seed)
    scores = np.exp(2 * generator.normal(size=(num_members, num_videos, num_classes)))
    return (scores / scores.sum(-1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("weights", [None, (1.0, 1.5, 0.7), (2.0, 1.0, 1.0)])
def test_most_votes_win_and_ties_go_to_the_summed_probability(weights):
    members = drawn(3)
    given = np.array(weights or (1.0, 1.0, 1.0))
    votes = np.zeros(members.shape[1:])
    for member, weight in zip(members, given, strict=True):
        votes[np.arange(len(votes)), member.argmax(1)] += weight
    summed = np.einsum("m,mnk->nk", given, members.astype(float))
    tied = (votes >= votes.max(1, keepdims=True) - 1e-9).sum(1) > 1
    found, ties = vote([torch.from_numpy(member) for member in members], weights=weights)
    np.testing.assert_array_equal(ties.numpy(), tied)
    assert weights == (1.0, 1.5, 0.7) or 10 < tied.sum() < 290
    # by votes, then by summed probability, all the way down
    expected = np.lexsort((-summed, -votes.round(9)), axis=1)
    np.testing.assert_array_equal((-found.numpy()).argsort(1, kind="stable"), expected)
    torch.testing.assert_close(found.sum(1), torch.ones(300))


def test_probabilities_are_about_shares_of_the_votes():
    agreed = [torch.tensor([[0.6, 0.4, 0.0]])] * 3
    found, ties = vote(agreed)
    assert not ties[0]
    assert found[0].tolist() == pytest.approx([0.976, 0.024, 0.0], abs=1e-3)
