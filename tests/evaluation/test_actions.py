"""Verbs and nouns joined to actions, held against a plain ranking of all pairs."""

import itertools
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from videoclf.errors import ConfigError
from videoclf.evaluation.actions import action_metrics, join_actions
from videoclf.evaluation.stored_actions import evaluate_actions
from videoclf.reports.predictions import Predictions, write_predictions
from videoclf.reports.results import Results

COUNT, VERBS, NOUNS = 80, 7, 11


def made(num_classes, seed, what, missing=()):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, num_classes, COUNT)
    scores = generator.normal(size=(COUNT, num_classes))
    scores[np.arange(COUNT), labels] += 1.5
    probabilities = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    return Predictions(
        paths=[f"P01/P01_{segment // 8:02d}.MP4" for segment in range(COUNT)],
        starts=[float(segment % 8) for segment in range(COUNT)],
        ends=[segment % 8 + 0.9 for segment in range(COUNT)],
        labels=[(int(label),) for label in labels],
        probabilities=probabilities.astype(np.float32),
        available=~np.isin(np.arange(COUNT), missing),
        class_names=tuple(f"{what} {k}" for k in range(num_classes)),
        protocol={"subset": "test", "num_clips": 10, "num_crops": 3, "average": "probabilities"},
        manifest_sha256="0" * 64,
        groups=[f"P01_{segment // 8:02d}" for segment in range(COUNT)],
    )


def expected(verbs, nouns, top):
    """Whether the true pair is among the likeliest, segment by segment."""
    hits = []
    for row in range(COUNT):
        pairs = itertools.product(range(VERBS), range(NOUNS))
        v, n = verbs.probabilities[row].astype(float), nouns.probabilities[row].astype(float)
        ranked = sorted(pairs, key=lambda pair: -v[pair[0]] * n[pair[1]])
        hits.append((verbs.labels[row][0], nouns.labels[row][0]) in ranked[:top])
    return np.array(hits)


def test_actions_are_ranked_over_all_pairs(tmp_path, monkeypatch):
    verbs, nouns = made(VERBS, 1, "verb"), made(NOUNS, 2, "noun", missing=(5,))
    other_order = nouns.taken(np.random.default_rng(0).permutation(COUNT))
    monkeypatch.chdir(tmp_path)
    write_predictions(tmp_path / "v", verbs)
    write_predictions(tmp_path / "n", other_order)
    (tmp_path / "joint").mkdir()
    config = {"predictions": {"verb": "v", "noun": "n"}, "command": "python evaluate.py"}
    evaluate_actions(config, tmp_path / "joint", 0.0)
    results = Results.load(tmp_path / "joint" / "results.json")
    seen = np.arange(COUNT) != 5
    for top in (1, 5):
        hits = expected(verbs, nouns, top) & seen
        name = f"test/video_action_top{top}_10x3"
        assert results.metrics[name] == results.metrics[f"{name}_listed"]
        assert results.metrics[name] == pytest.approx(hits.mean())
        assert results.metrics[f"{name}_available"] == pytest.approx(hits[seen].mean())
        low, high = results.intervals[name]
        assert low < hits.mean() < high
    verb_hits = verbs.probabilities.argmax(1) == [label for (label,) in verbs.labels]
    assert results.metrics["test/video_verb_top1_10x3"] == pytest.approx((verb_hits & seen).mean())
    assert results.counts == {"expected": COUNT, "evaluated": COUNT - 1, "missing": 1}
    table = pq.read_table(tmp_path / "joint" / "actions.parquet").to_pylist()
    assert table[5]["verbs"] is None
    right = [row["verbs"] and (row["verbs"][0], row["nouns"][0]) == (row["verb"], row["noun"])
             for row in table]  # fmt: skip
    np.testing.assert_array_equal(np.array(right, dtype=bool), expected(verbs, nouns, 1) & seen)
    page = (tmp_path / "joint" / "report.html").read_text(encoding="utf-8")
    assert "action top-1 over 80" in page.replace("\N{NO-BREAK SPACE}", " ")


def test_as_the_challenge_scores_it():
    """The softmax of the 100 best verbs times that of the 100 best nouns, of 97 and 300."""
    generator = np.random.default_rng(0)
    logits = {name: 3 * generator.normal(size=(COUNT, k)) for name, k in (("v", 97), ("n", 300))}

    def softmax(scores):
        return np.exp(scores) / np.exp(scores).sum()

    labels, found = {name: generator.integers(0, 12, COUNT) for name in logits}, []
    for row in range(COUNT):
        best = {name: np.argsort(-scores[row])[:100] for name, scores in logits.items()}
        v, n = (softmax(logits[name][row][best[name]]) for name in ("v", "n"))
        place = np.argsort(-np.outer(v, n).reshape(-1))[:5]
        pairs = zip(best["v"][place // len(n)], best["n"][place % len(n)], strict=True)
        found.append([(int(a), int(b)) for a, b in pairs])
    # half of the segments are labelled by one of the five, the others at random
    for row in range(0, COUNT, 2):
        labels["v"][row], labels["n"][row] = found[row][row % 5]
    verbs, nouns = (
        replace(
            made(3, 1, "x"),
            class_names=tuple(map(str, range(logits[name].shape[1]))),
            probabilities=np.stack([softmax(row) for row in logits[name]]).astype(np.float32),
            labels=[(int(label),) for label in labels[name]],
        )
        for name in ("v", "n")
    )
    metrics, _ = action_metrics(
        join_actions(verbs, nouns, ("v", "n")), subset="test", protocol="10x3"
    )
    true = list(zip(labels["v"].tolist(), labels["n"].tolist(), strict=True))
    for top in (1, 5):
        share = np.mean([pair in five[:top] for pair, five in zip(true, found, strict=True)])
        assert metrics[f"test/video_action_top{top}_10x3"] == pytest.approx(share)
        assert share > 0.05


def test_other_segments_and_targets_are_refused(tmp_path):
    verbs, nouns = made(VERBS, 1, "verb"), made(NOUNS, 2, "noun")
    with pytest.raises(ConfigError, match=r"n lacks 1, such as P01/P01_00.MP4 \(0.0 to 0.9 s\)"):
        join_actions(verbs, nouns.taken(np.arange(1, COUNT)), ("v", "n"))
    val = replace(nouns, protocol={**nouns.protocol, "subset": "val"})
    with pytest.raises(ConfigError, match="v is of subset test, n of val"):
        join_actions(verbs, val, ("v", "n"))
    with pytest.raises(ConfigError, match="other targets than verb and noun"):
        evaluate_actions({"predictions": {"verb": "v", "adverb": "n"}}, tmp_path, 0.0)
