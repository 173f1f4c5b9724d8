import pytest

from videoclf.errors import ConfigError

# Rows written to the documented format; no real list of it was at hand.
URL = "https://www.youtube.com/watch?v="
LISTS = {
    "labels.txt": "abseiling\ncurling\ntennis\n",
    "train_partition.txt": "".join(f"{URL}tr_-{i:07d} {i % 3}\n" for i in range(150))
    + f"{URL}both_______ 0,2\n",
    "test_partition.txt": "".join(f"{URL}te_-{i:07d} {i % 3}\n" for i in range(6)),
}


def test_lists(build, write, touch, tmp_path):
    ids = [line.split()[0][len(URL) :] for line in LISTS["train_partition.txt"].splitlines()]
    root = touch(tmp_path / "videos", [f"{i[:4]}/{i}.mkv" for i in ids])
    data = build("sports1m", root=root, annotations=write(LISTS), max_unreadable=6)
    manifest = data.manifest()
    assert data.multi_label
    assert manifest.counts() == {"train": 148, "val": 3, "test": 6}
    assert manifest.record(150).labels == (0, 2)
    assert manifest.record(1).path == "tr_-/tr_-0000001.mkv"
    assert manifest.record(151).path == "te_-0000000.mp4"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "train_partition.txt",
            f"{URL}a 0\nb.mp4 1\n",
            r"partition\.txt:2: 'b\.mp4' is no address",
        ),
        (
            "train_partition.txt",
            f"{URL}a 0,3\n",
            r"partition\.txt:1: label '3' is no class id; the 3",
        ),
        (
            "test_partition.txt",
            f"{URL}a\n",
            r"partition\.txt:1: 1 columns instead of 2 \(url, label",
        ),
        (
            "test_partition.txt",
            f"{URL}tr_-0000001 1\n",
            r"test_partition\.txt:1: tr_-0000001\.mp4 is in test, but at .*train_partition\.txt:2",
        ),
        ("labels.txt", "a\nb\nb\n", r"labels\.txt:3: class 'b' stands on line 2 already"),
    ],
)
def test_faults_name_file_line_and_remedy(build, write, tmp_path, name, content, message):
    data = build("sports1m", root=tmp_path, annotations=write(LISTS | {name: content}))
    with pytest.raises(ConfigError, match=message):
        data.manifest()
