import pytest

from videoclf.errors import ConfigError
from videoclf.evaluation.ensemble import Ensemble

DEFAULT = {
    "fusion": "average",
    "weights": None,
    "average": "probabilities",
    "fit_subset": "val",
    "regularization": 1e-3,
}


def test_a_weight_for_each_member():
    Ensemble(**{**DEFAULT, "weights": (1.0, 1.5)}).check_members(2)
    with pytest.raises(ConfigError, match=r"ensemble.weights has 1 value\(s\) for 2 checkpoints"):
        Ensemble(**{**DEFAULT, "weights": (1.0,)}).check_members(2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fusion": "vote"}, "ensemble.fusion='vote' must be one of average, logistic, svm"),
        ({"average": "ranks"}, "ensemble.average='ranks' must be one of probabilities, logits"),
        ({"weights": (1.0, -1.0)}, r"ensemble.weights=\[1.0, -1.0\] must be at least 0"),
        ({"weights": (0.0, 0.0)}, "not all 0"),
        ({"weights": (1.0, 2.0), "fusion": "svm"}, "belong to ensemble.fusion=average, not svm"),
        ({"regularization": -1.0}, "ensemble.regularization=-1.0 must be at least 0"),
    ],
)
def test_values_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Ensemble(**{**DEFAULT, **changes})


def test_names():
    assert Ensemble(**DEFAULT).name == "average"
    assert Ensemble(**{**DEFAULT, "weights": (1.0, 1.5)}).name == "average_1_1.5"
