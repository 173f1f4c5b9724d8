import numpy as np
import pytest
import torch

from videoclf.evaluation.cascade import Cascade, fit_threshold, relative_cost
from videoclf.evaluation.fusion import average_scores


def drawn(strengths, num_videos=400, num_classes=5, seed=0):
    """Return members that know the truth the better the stronger, and the labels."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, num_classes, num_videos)
    members = []
    for strength in strengths:
        scores = generator.normal(size=(num_videos, num_classes))
        scores[np.arange(num_videos), labels] += strength
        members.append(torch.tensor(scores, dtype=torch.float32).softmax(-1))
    return members, torch.tensor(labels)


def cascade(threshold, unsure_by="confidence", weights=None):
    return Cascade(
        threshold=threshold, unsure_by=unsure_by, weights=weights, average="probabilities"
    )


@pytest.mark.parametrize("unsure_by", ["confidence", "margin"])
def test_the_next_is_asked_where_the_average_so_far_is_unsure(unsure_by):
    members, _ = drawn((1, 2, 3))
    found = cascade(0.6, unsure_by, (1.0, 2.0, 1.0)).answer(members)
    for video in range(400):
        rows = [member[video].numpy().astype(float) for member in members]
        for asked in (1, 2, 3):
            mean = np.average(rows[:asked], axis=0, weights=(1, 2, 1)[:asked])
            first, second = np.sort(mean)[::-1][:2]
            if (first if unsure_by == "confidence" else first - second) >= 0.6:
                break
        assert found.asked[video] == asked
        np.testing.assert_allclose(found.probabilities[video], mean, atol=1e-6)
    shares = found.shares(3)
    assert shares[0] == 1 > shares[1] > shares[2] > 0
    assert shares[2] == pytest.approx((found.asked == 3).float().mean().item())


def test_the_ends_are_the_first_alone_and_all():
    members, _ = drawn((1, 2))
    torch.testing.assert_close(cascade(0.0).answer(members).probabilities, members[0])
    whole = cascade(1.0).answer(members)
    assert whole.shares(2) == (1.0, 1.0)
    torch.testing.assert_close(whole.probabilities, average_scores(members, weights=None))


def test_the_fitted_threshold_is_the_lowest_without_a_loss():
    members, labels = drawn((1.5, 3))

    def right(threshold):
        answer = cascade(threshold).answer(members)
        return (answer.probabilities.argmax(1) == labels).sum().item()

    found = fit_threshold(
        members, labels, unsure_by="confidence", weights=None, average="probabilities"
    )
    assert 0.2 < found < 1
    assert right(found) >= right(1.0)
    assert all(right(step / 100) < right(1.0) for step in range(round(found * 100)))


def test_mean_cost_relative_to_asking_all():
    assert relative_cost((1.0, 0.25), (1.0, 9.0)) == pytest.approx((1 + 0.25 * 9) / 10)


def test_members_without_weight_are_averaged_alike():
    members, _ = drawn((1, 2))
    found = cascade(0.0, weights=(0.0, 1.0)).answer(members)
    torch.testing.assert_close(found.probabilities, members[0])
