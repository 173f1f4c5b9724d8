"""What has been logged is known again after a kill, to the row."""

import numpy as np

from videoclf.loggers.journal import Journal


def test_rows_and_id_survive(tmp_path):
    path = tmp_path / "wandb" / "logged.jsonl"
    first = Journal(path)
    name = first.run_id()
    assert first.note({"train/loss": 2.5, "epoch": 0}, 0) == 0
    assert first.note({"picture": object()}, None) == 1  # counts, and holds no numbers
    assert first.note({"val/top1": np.float32(0.5)}, 0) == 2
    again = Journal(path)
    assert again.run_id() == name == first.run_id()
    assert len(again) == 3
    assert list(again.rows_from(0)) == [
        (0, {"train/loss": 2.5, "epoch": 0.0}, 0),
        (2, {"val/top1": 0.5}, 0),
    ]
    assert list(again.rows_from(3)) == []


def test_what_is_measured_again_is_left_out(tmp_path):
    journal = Journal(tmp_path / "logged.jsonl")
    journal.note({"train/loss": 2.0}, 4)
    again = Journal(tmp_path / "logged.jsonl")
    assert again.unseen({"train/loss": 2.0}, 3) == {}
    assert again.unseen({"train/loss": 2.0, "val/top1": 0.5}, 4) == {"val/top1": 0.5}
    assert again.unseen({"train/loss": 1.9}, 5) == {"train/loss": 1.9}
    assert again.unseen({"train/loss": 1.9}, None) == {"train/loss": 1.9}


def test_a_line_that_a_kill_cut_short_is_dropped(tmp_path):
    path = tmp_path / "logged.jsonl"
    journal = Journal(path)
    journal.note({"train/loss": 2.0}, 0)
    whole = path.read_text()
    path.write_text(whole + '{"step": 1, "met')
    again = Journal(path)
    assert again.unseen({"train/loss": 1.9}, 1) == {"train/loss": 1.9}
    assert path.read_text() == whole
    path.write_text('{"id": "0')
    begun = Journal(path)
    assert len(begun.run_id()) == 8
    assert path.read_text() == f'{{"id": "{begun.run_id()}"}}\n'
