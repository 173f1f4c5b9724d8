import itertools
import os
import shutil
from types import SimpleNamespace

import pytest

from videoclf.errors import DataError
from videoclf.predicting import watching
from videoclf.predicting.watching import arrivals


def test_a_file_counts_when_it_has_stopped_growing(tmp_path, monkeypatch):
    (tmp_path / "there.mp4").write_bytes(b"1")
    growing = tmp_path / "growing.mp4"
    steps = {1: b"1", 2: b"12", 3: b"123", 5: None, 7: b"12345"}  # by number of the look

    looks = itertools.count(1)

    def sleep(seconds):
        assert seconds == 0.25
        content = steps.get(next(looks))
        if content is not None:
            growing.write_bytes(content)
            os.utime(growing, ns=(0, len(content)))

    monkeypatch.setattr(watching, "time", SimpleNamespace(sleep=sleep))
    arriving = arrivals(tmp_path, seconds_between=0.25)
    assert next(arriving).name == "there.mp4"
    assert next(arriving) == growing
    assert next(looks) == 5  # written at 3, the same at 4
    assert next(arriving) == growing  # it has grown again
    shutil.rmtree(tmp_path)
    with pytest.raises(DataError, match="is no folder, or no longer"):
        next(arriving)
