"""Content against its hash: every altered byte is found, and what is right is hashed once."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from videoclf.errors import UnreadableVideoError
from videoclf.readers import content
from videoclf.readers.content import check_content, hash_content

DATA = bytes(range(256)) * 5000
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def hashed(monkeypatch):
    """Return a list that grows with each file that is read to be hashed."""
    paths = []
    whole = content.hash_file

    def note(path):
        paths.append(Path(path).name)
        return whole(path)

    monkeypatch.setattr(content, "hash_file", note)
    return paths


@pytest.fixture
def path(tmp_path):
    (tmp_path / "a.mp4").write_bytes(DATA)
    return str(tmp_path / "a.mp4")


def test_a_right_file_is_hashed_once_until_it_changes(path, hashed):
    for _ in range(3):
        check_content(path, SHA256, remember=True)
    assert hashed == ["a.mp4"]
    os.utime(path, ns=(1, 1))
    check_content(path, SHA256, remember=True)
    assert hashed == ["a.mp4"] * 2
    for _ in range(2):
        check_content(path, SHA256, remember=False)
    assert hashed == ["a.mp4"] * 4


@pytest.mark.parametrize("place", [0, 1 << 20, len(DATA) - 1])
def test_one_altered_bit_is_found(path, place):
    check_content(path, SHA256, remember=True)
    altered = bytearray(DATA)
    altered[place] ^= 1
    Path(path).write_bytes(altered)
    for _ in range(2):  # what is wrong is not remembered
        with pytest.raises(
            UnreadableVideoError,
            match=rf"not what the manifest says \(sha256 \w{{12}}, not {SHA256[:12]}\); replace",
        ) as caught:
            check_content(path, SHA256, remember=True)
        assert caught.value.path == path


def test_another_hash_for_the_same_file_is_checked(path):
    check_content(path, SHA256, remember=True)
    with pytest.raises(UnreadableVideoError, match="not 000000000000"):
        check_content(path, "0" * 64, remember=True)


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UnreadableVideoError, match="does not exist"):
        check_content(str(tmp_path / "gone.mp4"), SHA256, remember=True)
    os.mkfifo(tmp_path / "fifo.mp4")
    for remember in (True, False):
        with pytest.raises(UnreadableVideoError, match="is a FIFO, not a file"):
            check_content(str(tmp_path / "fifo.mp4"), SHA256, remember=remember)


def test_a_folder_of_pictures_counts_by_all_its_files(tmp_path, hashed):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(bytes([number]))
    sha256 = hash_content(str(folder))
    for _ in range(2):
        check_content(str(folder), sha256, remember=True)
    assert len(hashed) == 6
    (folder / "1.jpg").write_bytes(b"x")
    with pytest.raises(UnreadableVideoError, match="not what the manifest says"):
        check_content(str(folder), sha256, remember=True)


def test_a_cache_that_cannot_be_written_is_done_without(path, tmp_path, monkeypatch, hashed):
    (tmp_path / "file").touch()
    monkeypatch.setenv("VIDEOCLF_CACHE", str(tmp_path / "file"))
    for _ in range(2):
        check_content(path, SHA256, remember=True)
    assert hashed == ["a.mp4"] * 2
