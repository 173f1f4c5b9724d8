import pytest

from videoclf.errors import ConfigError

NAMES = {"train_list": "train.txt", "test_list": None, "val_fraction": 0}


@pytest.fixture
def manifest(build, write, tmp_path):
    def manifest(files, name="mmaction_videos", **overrides):
        folder = write(files)
        values = {"root": tmp_path, "annotations": folder, "max_unreadable": 99} | NAMES
        return build(name, **values | overrides).manifest()

    return manifest


def test_videos(manifest, touch, tmp_path):
    touch(tmp_path, [f"{c}/{i}.mp4" for c in "ab" for i in range(20)])
    train = "".join(f"{c}/{i}.mp4 {k}\n" for k, c in enumerate("ab") for i in range(10))
    test = "".join(f"{c}/{i}.mp4\t{k}\n" for k, c in enumerate("ab") for i in range(10, 20))
    files = {"train.txt": train, "test.txt": test, "names.txt": "archery\nbowling\n"}
    values = {"test_list": "test.txt", "val_fraction": 0.2, "max_unreadable": 0}
    found = manifest(files, **values, label_map="names.txt")
    assert found.class_names == ("archery", "bowling")
    assert found.counts() == {"train": 16, "val": 4, "test": 20}
    assert manifest(files, **values).class_names == ("0", "1")
    found = manifest(files | {"val.txt": test}, **values | {"test_list": None}, val_list="val.txt")
    assert found.counts() == {"train": 20, "val": 20, "test": 0}


def test_frames_offsets_and_delimiters(manifest):
    found = manifest({"train.txt": "a 10 0\nb 20 1\n"}, "mmaction_rawframes")
    assert (found.record(1).path, found.record(1).start) == ("b", None)
    values = {"columns": "offset_frames", "delimiter": ",", "frame_rate": 10.0}
    found = manifest({"train.txt": "my a, 5, 20, 0\n"}, "mmaction_rawframes", **values)
    record = found.record(0)
    assert (record.path, record.start, record.end, record.labels) == ("my a", 0.5, 2.5, (0,))


def test_several_labels(manifest):
    found = manifest({"train.txt": "a.mp4 3 0\na.mp4 1\nb.mp4 2\n"}, multiple_labels=True)
    assert [found.record(i).labels for i in range(2)] == [(0, 1, 3), (2,)]


@pytest.mark.parametrize(
    ("content", "overrides", "message"),
    [
        ("a.mp4\n", {}, r"train\.txt:1: 'a\.mp4' has 1 columns; a line is '<path> <label>'"),
        ("a.mp4 0\nb.mp4 1 2\n", {}, r"train\.txt:2: .* has 3 columns; .*multiple_labels=false\)"),
        (
            "my video.mp4 0\n",
            {"multiple_labels": True},
            r"'video\.mp4' is no whole number; .*delim",
        ),
        ("a.mp4 -1\n", {}, r"train\.txt:1: '-1' is no whole number"),
        ("a 5 1\n", {"columns": "offset_frames"}, r"'<path> <offset> <number of frames> <label>'"),
        ("a.mp4 0\na.mp4 0\n", {}, r"train\.txt:2: a\.mp4 is listed already at .*train\.txt:1"),
        ("a.mp4 0\na.mp4 1\n", {}, r"train\.txt:2: a\.mp4 has the label '1', but at .*it has '0'"),
        ("a.mp4 0\nb.mp4 2\n", {}, r"train\.txt: no train row has the class '1'"),
        ("a.mp4 0\nb.mp4 2\n", {"label_map": "n.txt"}, r"txt:2: label 2 is no class id; the 2 cl"),
        ("a.mp4 0\nb.mp4 99999999999\n", {}, r"txt:2: label 99999999999 is no class id: ids cou"),
        ("\n", {}, r"train\.txt has no lines"),
    ],
)
def test_faults_name_file_line_and_remedy(manifest, content, overrides, message):
    with pytest.raises(ConfigError, match=message):
        manifest({"train.txt": content, "n.txt": "x\ny\n"}, **overrides)


def test_values_are_checked(build):
    with pytest.raises(
        ValueError, match=r"data\.columns=clips must be video, frames, offset_frames"
    ):
        build("mmaction_videos", columns="clips")
    with pytest.raises(ValueError, match=r"data\.frame_rate=0 must be above 0"):
        build("mmaction_videos", frame_rate=0)


def test_real_lists(build, samples, tmp_path):
    data = {"root": tmp_path, "annotations": samples("annotations/mmaction2"), "test_list": None}
    data |= {"max_unreadable": 9, "val_fraction": 0, "multiple_labels": True}
    found = build("mmaction_videos", **data, train_list="video_test_list_multi_label.txt")
    assert found.manifest().record(0).labels == (0, 2, 3, 4)
    found = build("mmaction_rawframes", **data, train_list="rawframe_test_list_multi_label.txt")
    assert found.manifest().record(0).labels == (1, 3, 5)
    # The upstream fixture lists one folder twice.
    twice = build("mmaction_rawframes", **data, train_list="rawframe_test_list.txt")
    with pytest.raises(ConfigError, match=r"rawframe_test_list\.txt:2: imgs is listed already"):
        twice.manifest()
