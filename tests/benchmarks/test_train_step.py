import pytest
import torch


def test_each_pair_of_networks_is_compared(script):
    rows = list(script("train_step").measure(quick=True))
    assert [row.compared.partition(":")[0] for row in rows] == ["r3d_18"] * 3
    assert [row.at_most for row in rows] == [1.02, 1.02, None]
    assert rows[2].value is not None or "bfloat16" in rows[2].note


def test_other_logits_are_refused(script, monkeypatch):
    train_step = script("train_step")
    theirs = train_step.video.r3d_18(num_classes=train_step.CLASSES)
    clips = torch.randn(1, 3, 8, 32, 32)
    monkeypatch.setattr(train_step, "TOLERANCE", 0.0)
    with pytest.raises(AssertionError, match="r3d_18: logits differ by"):
        train_step.ours_like("r3d_18", theirs, clips, last=True)
