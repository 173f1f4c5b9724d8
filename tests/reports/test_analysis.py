from dataclasses import replace

import numpy as np
import pytest

from videoclf.reports.analysis import (
    average_precision,
    class_scores,
    confident_mistakes,
    confused_pairs,
    confusion_matrix,
    hardest_videos,
)


def test_confusion_counts_evaluated_videos(make_predictions):
    # 20 videos, label i % 5; every fourth is taken for the next class; video 0 is missing
    matrix = confusion_matrix(make_predictions(20, missing=(0,)))
    expected = np.diag([3, 3, 3, 3, 3])
    for label in (1, 2, 3, 4):  # videos 16, 12, 8, 4
        expected[label, (label + 1) % 5] = 1
    assert np.array_equal(matrix, expected)


def test_pairs_are_sorted_by_count_then_share():
    matrix = np.array([[5, 2, 0], [2, 0, 3], [0, 0, 9]])
    pairs = confused_pairs(matrix, ("a", "b", "c"), limit=2)
    assert [(p.true, p.predicted, p.count, p.share) for p in pairs] == [
        ("b", "c", 3, 0.6),
        ("b", "a", 2, 0.4),
    ]


def test_a_missing_video_counts_as_wrong_in_recall(make_predictions):
    scores = {s.name: s for s in class_scores(make_predictions(20, missing=(1,)))}
    assert scores["right"].support == 4
    assert scores["right"].score == pytest.approx(2 / 4)  # video 16 is wrong, video 1 missing


def test_a_class_without_videos_has_no_score_and_comes_last(make_predictions):
    scores = class_scores(make_predictions(3))
    assert [s.score for s in scores] == [1.0, 1.0, 0.0, None, None]
    assert scores[0].support == 1


def test_average_precision_matches_the_definition():
    # by hand: hits at ranks 1, 3 -> (1/1 + 2/3) / 2
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    assert average_precision(scores, np.array([1, 0, 1, 0], bool)) == pytest.approx(5 / 6)
    # equal scores pass together: precision 2/4 at recall 1
    assert average_precision(np.full(4, 0.5), np.array([1, 0, 1, 0], bool)) == pytest.approx(0.5)
    assert average_precision(scores, np.zeros(4, bool)) is None


def test_average_precision_matches_a_plain_loop():
    random = np.random.default_rng(0)
    scores = np.round(random.random(200), 2)  # many are equal
    positives = random.random(200) < 0.2
    expected, recall = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        passed = positives[scores >= threshold]
        expected += passed.mean() * (passed.sum() / positives.sum() - recall)
        recall = passed.sum() / positives.sum()
    assert average_precision(scores, positives) == pytest.approx(expected)


def test_mistakes_are_the_most_confident_first(make_predictions):
    mistakes, total = confident_mistakes(make_predictions(20), limit=2)
    assert total == 5
    assert [m.path for m in mistakes] == ["videos/16 <i>.avi", "videos/12 <i>.avi"]
    assert mistakes[0].true == ("right",)
    assert mistakes[0].predicted == "<script>alert(1)</script>"
    assert mistakes[0].confidence == pytest.approx(0.916)
    assert mistakes[0].guesses[0].is_true is False
    assert [g.name for g in mistakes[0].guesses if g.is_true] == ["right"]


def test_the_true_class_is_shown_even_if_improbable(make_predictions):
    predictions = make_predictions(1)
    probabilities = np.array([[0.01, 0.5, 0.3, 0.1, 0.09]], np.float32)
    (mistake,), _ = confident_mistakes(replace(predictions, probabilities=probabilities), limit=1)
    assert [g.is_true for g in mistake.guesses] == [False, False, False, True]


def test_multi_label_mistakes_are_none_of_the_labels(make_predictions):
    mistakes, total = confident_mistakes(make_predictions(20, multi_label=True), limit=9)
    assert total == 5
    assert all(len(m.true) == 2 and m.predicted not in m.true for m in mistakes)
    assert all(s.support == 8 for s in class_scores(make_predictions(20, multi_label=True)))


def test_unlabelled_videos_are_left_aside(make_predictions):
    predictions = replace(make_predictions(4), labels=[(), (), (), ()])
    assert confusion_matrix(predictions).sum() == 0
    assert confident_mistakes(predictions, limit=3) == ([], 0)
    assert all(s.score is None for s in class_scores(predictions))


def test_the_hardest_videos_gave_their_class_the_least(make_predictions):
    predictions = make_predictions(20, missing=(0,))
    predictions.probabilities[7, 2] = 0.05  # wrong or not, its own class has little
    predictions.probabilities[3, 3] = 0.6
    found = hardest_videos(predictions, 6)
    assert found[0].path == "videos/07 <i>.avi"
    assert {each.path for each in found[1:5]} == {f"videos/{n:02d} <i>.avi" for n in (4, 8, 12, 16)}
    assert found[5].path == "videos/03 <i>.avi"
    assert found[5].predicted == found[5].true[0]
