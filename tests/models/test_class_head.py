import pytest
import torch
from torch import nn

from tests.models.contract import configured
from videoclf.models.blocks.class_head import class_head, copy_class_rows, replace_class_head


def test_a_new_head_has_other_classes_over_the_same_features():
    model = configured("slow_fusion").double()
    rgb = torch.randn(2, 3, 8, 32, 32, dtype=torch.float64)
    before = model.eval().features(rgb)
    for start, weight in (("default", None), ("normal", 0.01), ("zeros", 0.0)):
        replace_class_head(model, num_classes=300, start=start)
        assert model(rgb).shape == (2, 300)
        assert model.classifier.weight.dtype == torch.float64
        torch.testing.assert_close(model.features(rgb), before)
        if weight is not None:
            assert float(model.classifier.weight.detach().std()) == pytest.approx(weight, rel=0.05)
            assert not model.classifier.bias.any()


def test_rows_follow_the_names_of_their_classes():
    head = nn.Linear(2, 3)
    fresh = head.weight.detach().clone()
    weight, bias = torch.arange(8.0).reshape(4, 2), torch.arange(4.0)
    found = copy_class_rows(
        head, ["c", "new", "a"], weight=weight, bias=bias, trained_names=["a", "b", "c", "d"]
    )
    assert found == 2
    torch.testing.assert_close(head.weight[[0, 2]], weight[[2, 0]])
    torch.testing.assert_close(head.bias[[0, 2]], bias[[2, 0]])
    torch.testing.assert_close(head.weight[1], fresh[1])


def test_heads_over_other_features_are_refused():
    with pytest.raises(ValueError, match="reads 5 features, the model's 2"):
        copy_class_rows(
            nn.Linear(2, 1), ["a"], weight=torch.zeros(1, 5), bias=None, trained_names=["a"]
        )


def test_wrong_values():
    model = configured("slow_fusion")
    with pytest.raises(ValueError, match="start='ones' is none of default, normal, zeros"):
        replace_class_head(model, num_classes=2, start="ones")
    with pytest.raises(ValueError, match="num_classes=0 must be at least 1"):
        replace_class_head(model, num_classes=0, start="zeros")
    with pytest.raises(ValueError, match="Flatten has no linear layer `classifier`"):
        class_head(nn.Flatten())
