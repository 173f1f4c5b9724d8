import math

import numpy as np
import pytest
import torch

from videoclf.evaluation.fusion import average_scores, fit_fusion, fit_weights


def test_weighted_average_of_probabilities():
    first, second = torch.tensor([[0.8, 0.2]]), torch.tensor([[0.3, 0.7]])
    torch.testing.assert_close(
        average_scores([first, second], weights=[1, 1.5]), torch.tensor([[0.5, 0.5]])
    )
    torch.testing.assert_close(
        average_scores([first, second], weights=None), torch.tensor([[0.55, 0.45]])
    )


def test_average_of_logits_is_the_geometric_mean():
    first, second = torch.tensor([[0.8, 0.2]]), torch.tensor([[0.5, 0.5]])
    root = math.sqrt(0.8 * 0.5)
    expected = root / (root + math.sqrt(0.2 * 0.5))
    found = average_scores([first, second], weights=None, average="logits")
    assert found[0, 0] == pytest.approx(expected)
    sure = average_scores([torch.tensor([[1.0, 0.0]])] * 2, weights=None, average="logits")
    assert sure.isfinite().all()


def members_of(num_videos, seed):
    """Return two members, each right about one half of four classes, and the labels."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 4, num_videos)
    members = []
    for known in ((0, 1), (2, 3)):
        scores = generator.normal(size=(num_videos, 4))
        sees = np.isin(labels, known)
        scores[sees, labels[sees]] += 4
        members.append(torch.tensor(scores).softmax(-1))
    return members, torch.tensor(labels)


@pytest.mark.parametrize("fusion", ["logistic", "svm"])
def test_a_fitted_fusion_beats_the_average_where_members_know_different_classes(fusion):
    train, train_labels = members_of(400, 0)
    unseen, labels = members_of(400, 1)

    def accuracy(scores):
        return float((scores.argmax(1) == labels).float().mean())

    fused = fit_fusion(train, train_labels, fusion=fusion, regularization=1e-3)(unseen)
    torch.testing.assert_close(fused.sum(1), torch.ones(400))
    assert accuracy(fused) > max(accuracy(member) for member in unseen) + 0.1
    assert accuracy(fused) >= accuracy(average_scores(unseen, weights=None)) - 0.01


def test_the_fit_is_at_the_minimum():
    members, labels = members_of(60, 0)
    fused = fit_fusion(members, labels, fusion="logistic", regularization=0.01)
    inputs = torch.cat(members, dim=1)
    # stationary in b: the predicted shares of the classes are those of the labels
    shares = torch.bincount(labels, minlength=4) / 60
    torch.testing.assert_close(fused(members).mean(0), shares, atol=2e-3, rtol=0)
    assert inputs.shape == (60, 8)


@pytest.mark.parametrize("average", ["probabilities", "logits"])
def test_fitted_weights_are_the_likeliest(average):
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 4, 500)
    members = []
    for strength in (1.0, 2.0):
        scores = generator.normal(size=(500, 4))
        scores[np.arange(500), labels] += strength
        members.append(torch.tensor(2 * strength * scores).softmax(-1))  # twice too sure
    found = fit_weights(members, torch.tensor(labels), average=average)
    assert sum(found) == pytest.approx(1)

    def loss(weight):
        first, second = (member.numpy() for member in members)
        if average == "logits":
            mixed = first**weight * second ** (1 - weight)
            mixed /= mixed.sum(1, keepdims=True)
        else:
            mixed = weight * first + (1 - weight) * second
        return -np.log(mixed[np.arange(500), labels]).mean()

    grid = np.linspace(0, 1, 1001)
    best = grid[np.argmin([loss(weight) for weight in grid])]
    assert found[0] == pytest.approx(best, abs=2e-3)
    assert 0.1 < best < 0.9


def test_a_useless_member_fades():
    labels = torch.arange(40) % 4
    known = torch.nn.functional.one_hot(labels, 4) * 0.6 + 0.1
    lost = known.roll(1, 0)
    assert fit_weights([known, lost], labels)[0] > 0.999
