import pytest
import torch
from torch.nn import functional as F

from videoclf.tasks.losses import check_loss, sigmoid_focal, softmax_focal

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, 1.0]])


def test_without_an_exponent_both_are_cross_entropies():
    labels = torch.tensor([0, 2])
    targets = F.one_hot(labels, 3).float()
    plain = softmax_focal(LOGITS, targets, gamma=0, label_smoothing=0.1)
    torch.testing.assert_close(plain, F.cross_entropy(LOGITS, labels, label_smoothing=0.1))
    each = sigmoid_focal(LOGITS, targets, gamma=0)
    torch.testing.assert_close(each, F.binary_cross_entropy_with_logits(LOGITS, targets))


def test_a_focal_loss_weighs_by_what_is_not_known_yet():
    right = LOGITS.softmax(1)[torch.arange(2), torch.tensor([0, 2])]
    expected = ((1 - right) ** 2 * -right.log()).mean()  # equation 4 of the paper
    targets = F.one_hot(torch.tensor([0, 2]), 3).float()
    found = softmax_focal(LOGITS, targets, gamma=2, label_smoothing=0)
    torch.testing.assert_close(found, expected)


def test_a_sigmoid_focal_loss_weighs_each_class():
    targets = torch.tensor([[1.0, 0, 1], [0, 1, 0]])
    p = LOGITS.sigmoid()
    right = torch.where(targets > 0, p, 1 - p)
    expected = ((1 - right) ** 1.5 * -right.log()).mean()
    torch.testing.assert_close(sigmoid_focal(LOGITS, targets, gamma=1.5), expected)


@pytest.mark.parametrize("gamma", [1.0, 2.0])
def test_certainty_has_a_finite_gradient(gamma):
    logits = torch.tensor([[1000.0, -1000.0]], requires_grad=True)
    softmax_focal(logits, torch.tensor([[1.0, 0]]), gamma=gamma, label_smoothing=0).backward()
    sigmoid_focal(logits, torch.tensor([[1.0, 0]]), gamma=gamma).backward()
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize(
    ("name", "gamma", "message"),
    [
        ("fokal", 2.0, "task.loss='fokal' must be one of cross_entropy, focal"),
        ("focal", 0.5, "task.focal_gamma=0.5 must be at least 1, or 0, which weighs all alike"),
    ],
)
def test_wrong_values_are_refused(name, gamma, message):
    with pytest.raises(ValueError, match=message):
        check_loss(name, ("cross_entropy", "focal"), gamma)
