import json

import pytest
import torch

from videoclf import checkpoint_file
from videoclf.errors import CheckpointError
from videoclf.evaluation.collected import Collected
from videoclf.evaluation.parts import Parts, read_part
from videoclf.types import Unreadable


def parts(folder, *, rank=0, every_seconds=0.0, finished=None):
    return Parts(
        folder,
        identity={"views": "10x3"},
        every_seconds=every_seconds,
        rank=rank,
        finished=finished,
    )


def collect(folder, rows, **settings):
    """Score videos one by one, as a rank does; return what it has collected."""
    collected = Collected(num_classes=2)
    collected.parts = parts(folder, **settings)
    for row in rows:
        ranks = torch.tensor([[row]], dtype=torch.int32)
        collected.add(torch.tensor([row]), torch.tensor([[row / 10, 0.5]]), {"ranks": ranks})
    return collected


def test_what_is_stored_comes_back_on_rank_0_and_its_rows_on_every_rank(tmp_path):
    collect(tmp_path, [4, 7]).miss([Unreadable(9, "a.mp4", "no video stream")])
    files = sorted(tmp_path.glob("*.part"))
    assert [file.name for file in files] == ["000-0000-000000.part", "000-0000-000001.part"]
    assert checkpoint_file.describe(files[0])["identity"] == {"views": "10x3"}
    finished = tmp_path / "finished.json"
    finished.write_text(json.dumps({"start": 1, "parts": [file.name for file in files]}))
    for rank, expected in ((0, [4, 7, 8]), (1, [8])):
        again = collect(tmp_path, [8], rank=rank, finished=finished)
        assert again.parts.rows.tolist() == [4, 7]
        shards = again.take()
        assert torch.cat([shard.rows for shard in shards]).tolist() == expected
        found = torch.cat([shard.probabilities for shard in shards if len(shard.rows)])
        assert found[:, 0].tolist() == pytest.approx([row / 10 for row in expected])
        assert not any(shard.unreadable for shard in shards)
    assert (tmp_path / "001-0001-000000.part").is_file()


def test_nothing_is_stored_where_nothing_is_asked_for_or_due(tmp_path):
    for every_seconds in (None, 1000.0):
        collected = collect(tmp_path, [1, 2], every_seconds=every_seconds)
        assert not list(tmp_path.iterdir())
        (shard,) = collected.take()
        assert shard.rows.tolist() == [1, 2]
        assert collected.take()[0].rows.tolist() == []


def test_a_damaged_part_is_found(tmp_path):
    collect(tmp_path, [4])
    (file,) = tmp_path.glob("*.part")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged"):
        read_part(file)
