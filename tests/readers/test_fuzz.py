"""Altered files: no reader crashes or hangs, every refusal is named; `make fuzz` reads 1,000."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.readers.alterations import ALTERATIONS, Original, alter
from tests.readers.fuzzing import read_all, read_altered
from videoclf.errors import ConfigError
from videoclf.readers import reader_class
from videoclf.readers.pyav import PyavReader

NUM_FILES = 60
NAMES = (
    *("h264_b_frames", "h264_open_gop_mkv", "fragmented", "mpeg4_avi", "h264_ts", "vp9"),
    *("wmv", "mpeg2_ps", "h264_flv", "gif", "mjpeg", "h264_10bit"),
)


@pytest.fixture
def originals(corpus):
    found = []
    for name in NAMES:
        path, case = corpus(name)
        found.append(Original(name, case.suffix, Path(path).read_bytes(), tuple(case.numbers)))
    return found


@pytest.mark.parametrize("reader", ["pyav", "torchcodec", "decord"])
def test_altered_files_are_read_or_refused_by_name(originals, tmp_path, reader):
    try:
        reader_class(reader)
    except ConfigError as error:
        pytest.skip(str(error))
    altered = alter(originals, tmp_path, NUM_FILES, seed=0)
    outcomes = list(read_all(altered, reader, num_processes=1))
    assert len(outcomes) == NUM_FILES
    bad = [each for each in outcomes if each.verdict in ("crash", "hang", "wrong")]
    assert not bad, bad
    counts = Counter(each.verdict for each in outcomes)
    assert counts["refused"] >= NUM_FILES // 3
    assert counts["read"]
    assert max(each.peak_megabytes for each in outcomes) < 1000


def test_alterations_repeat_and_alter(originals, tmp_path):
    first, second = (
        [Path(each.path).read_bytes() for each in alter(originals, tmp_path, NUM_FILES, seed=3)]
        for _ in range(2)
    )
    assert first == second
    kinds = {each.kind for each in alter(originals, tmp_path, NUM_FILES, seed=3)}
    assert kinds == {alteration.__name__ for alteration in ALTERATIONS}
    good = [original.content for original in originals]
    assert sum(content in good for content in first) <= 3  # an altered byte may be what it was


def test_what_is_not_altered_is_read(originals, tmp_path):
    [good] = alter(originals[:1], tmp_path, 1, seed=0)
    Path(good.path).write_bytes(originals[0].content)
    assert read_altered(good, PyavReader).verdict == "read"
