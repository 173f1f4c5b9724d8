import pytest

from videoclf.errors import ConfigError
from videoclf.evaluation.ensemble import Ensemble
from videoclf.evaluation.protocols import joint_protocol, protocol_name
from videoclf.reports.wording import parse_metric

DEFAULT = {
    "fusion": "average",
    "weights": None,
    "average": "probabilities",
    "fit_subset": "val",
    "regularization": 1e-3,
}


def test_a_weight_for_each_member():
    Ensemble(**{**DEFAULT, "weights": (1.0, 1.5)}).check_members(2)
    with pytest.raises(ConfigError, match=r"ensemble.weights has 1 value\(s\) for 2 members"):
        Ensemble(**{**DEFAULT, "weights": (1.0,)}).check_members(2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"fusion": "sum"},
            "ensemble.fusion='sum' must be one of average, vote, cascade, logistic",
        ),
        (
            {"unsure_by": "entropy"},
            "ensemble.unsure_by='entropy' must be one of confidence, margin",
        ),
        ({"threshold": 1.2, "fusion": "cascade"}, "ensemble.threshold=1.2 must be from 0 to 1"),
        ({"threshold": 0.5}, "ensemble.threshold is for ensemble.fusion=cascade"),
        (
            {"costs": (1.0, 0.0), "fusion": "cascade"},
            r"ensemble.costs=\[1.0, 0.0\] must be above 0",
        ),
        ({"weights": "best"}, "ensemble.weights=best must be a list or null, or, with"),
        ({"weights": "fit", "fusion": "vote"}, "ensemble.weights=fit must be a list or null"),
        ({"weights": ()}, "must be at least 0 and not all 0"),
        ({"average": "ranks"}, "ensemble.average='ranks' must be one of probabilities, logits"),
        ({"weights": (1.0, -1.0)}, r"ensemble.weights=\[1.0, -1.0\] must be at least 0"),
        ({"weights": (0.0, 0.0)}, "not all 0"),
        (
            {"weights": (1.0, 2.0), "fusion": "svm"},
            "belong to ensemble.fusion=average, vote or cascade, not svm",
        ),
        ({"regularization": -1.0}, "ensemble.regularization=-1.0 must be at least 0"),
    ],
)
def test_values_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Ensemble(**{**DEFAULT, **changes})


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "average"),
        ({"weights": (1.0, 1.5)}, "average_1_1.5"),
        ({"weights": "fit"}, "average_fit_val"),
        ({"average": "logits", "weights": (1.0, 2.0)}, "average_geometric_by_1_2"),
        ({"fusion": "vote"}, "vote"),
        ({"fusion": "cascade"}, "cascade_fit_val"),
        ({"fusion": "cascade", "threshold": 0.8, "unsure_by": "margin"}, "cascade_margin_0.8"),
        ({"fusion": "svm"}, "svm"),
    ],
)
def test_names(changes, name):
    assert Ensemble(**{**DEFAULT, **changes}).name == name
    for after in ("", "_available"):
        parts = parse_metric(f"test/video_top1_10x3@256_ends_{name}{after}")
        assert (parts.quantity, parts.ensemble, parts.views) == ("top1", name, (10, 3))


def test_nothing_is_fitted_on_what_is_scored():
    for changes in ({"fusion": "svm"}, {"weights": "fit"}, {"fusion": "cascade"}):
        with pytest.raises(ConfigError, match="ensemble.fit_subset=val is the subset that is sco"):
            Ensemble(**{**DEFAULT, **changes}).check_subset("val")
    Ensemble(**{**DEFAULT, "fusion": "vote"}).check_subset("val")


def test_members_of_different_views():
    ensemble = Ensemble(**DEFAULT)
    one = {"subset": "test", "num_clips": 10, "num_crops": 3, "average": "probabilities"}
    same = joint_protocol(ensemble, [one, {**one, "ema_decay": 0.9}], ["a", "b"])
    assert protocol_name(same) == "10x3_average"
    mixed = joint_protocol(ensemble, [one, {**one, "num_clips": 5}], ["a", "b"])
    assert protocol_name(mixed) == "mixed_average"
    assert mixed["member_views"] == ["10x3", "5x3"]
    parts = parse_metric(f"test/video_top1_{protocol_name(mixed)}")
    assert (parts.quantity, parts.ensemble, parts.views) == ("top1", "average", None)
    with pytest.raises(ConfigError, match="b is of an ensemble itself"):
        joint_protocol(ensemble, [one, same], ["a", "b"])


def test_members_of_different_labels():
    one = {"num_clips": 1, "num_crops": 3, "average": "probabilities", "label_version": "V2"}
    assert joint_protocol(Ensemble(**DEFAULT), [one, one], ["a", "b"])["label_version"] == "V2"
    with pytest.raises(ConfigError, match="labels are of versions V1, V2"):
        joint_protocol(Ensemble(**DEFAULT), [one, {**one, "label_version": "V1"}], ["a", "b"])
