"""An evaluation is called complete only where it is."""

import pytest
import torch

from videoclf.errors import DataError, WorkerError
from videoclf.evaluation.losses import VideoLosses
from videoclf.evaluation.scores import Scores
from videoclf.tasks.video_task import check_complete
from videoclf.types import Unreadable

DAMAGED = (Unreadable(1, "a.mp4", "no video stream"),)


def scores(unreadable, available=(True, False, True)):
    return Scores(
        rows=torch.arange(3),
        labels=torch.zeros(3, dtype=torch.int64),
        probabilities=torch.full((3, 2), 0.5),
        available=torch.tensor(available),
        unreadable=unreadable,
    )


def test_unreadable_videos_are_allowed_up_to_a_number():
    check_complete(scores((), available=(True, True, True)), 0)
    check_complete(scores(DAMAGED), 1)
    with pytest.raises(DataError, match=r"1 unreadable video\(s\), 0 allowed: a.mp4"):
        check_complete(scores(DAMAGED), 0)


def test_a_video_that_nobody_has_looked_at_is_never_allowed():
    with pytest.raises(WorkerError, match="1 of 3 listed videos were neither evaluated nor found"):
        check_complete(scores(()), 100)
    lost = VideoLosses(torch.arange(2), torch.tensor([0.5, float("nan")]), ())
    with pytest.raises(WorkerError, match="1 of 2 listed videos"):
        check_complete(lost, 100)
