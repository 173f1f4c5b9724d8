import json

import pytest

from videoclf.errors import ConfigError

# Items written to the documented format; no real list of it was at hand.
VOCABULARY = [["Back", "15som", "05Twis", "FREE"], ["Back", "15som", "15Twis", "FREE"]]


def items(subset, count):
    return json.dumps(
        [
            {"vid_name": f"{subset}_{i:05d}", "label": i % 2, "start_frame": 0, "end_frame": 139}
            for i in range(count)
        ]
    )


LISTS = {
    "Diving48_vocab.json": json.dumps(VOCABULARY),
    "Diving48_V2_train.json": items("a", 40),
    "Diving48_V2_test.json": items("b", 4),
}


def test_lists(build, write, touch, tmp_path):
    names = [f"a_{i:05d}.mp4" for i in range(40)] + [f"b_{i:05d}.mp4" for i in range(4)]
    root = touch(tmp_path / "rgb", names)
    manifest = build("diving48", root=root, annotations=write(LISTS)).manifest()
    assert manifest.class_names == ("Back 15som 05Twis FREE", "Back 15som 15Twis FREE")
    assert manifest.counts() == {"train": 34, "val": 6, "test": 4}
    assert manifest.record(1).path == "a_00001.mp4"


def test_first_version(build, write, touch, tmp_path):
    names = [f"a_{i:05d}.mp4" for i in range(40)] + [f"b_{i:05d}.mp4" for i in range(4)]
    root = touch(tmp_path / "rgb", names)
    lists = {name.replace("_V2", ""): text for name, text in LISTS.items()}
    data = build("diving48", root=root, annotations=write(lists), label_version="V1")
    assert data.manifest().counts() == {"train": 34, "val": 6, "test": 4}
    with pytest.raises(ValueError, match="data.label_version=V3 must be V1 or V2"):
        build("diving48", root=root, annotations=write(lists), label_version="V3")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "Diving48_V2_test.json",
            '[\n{"vid_name": "x", "label": 2}]',
            r"test\.json:2: label 2 is no class id; the 2 classes of Diving48_vocab\.json",
        ),
        ("Diving48_V2_test.json", '[\n{"vid_name": "x"}]', r"test\.json:2: no 'label' in "),
        (
            "Diving48_V2_test.json",
            '[{"vid_name": "x", "label": 0},\n{"vid_name": "x", "label": 0}]',
            r"test\.json:2: x\.mp4 is listed already at .*test\.json:1; delete",
        ),
        ("Diving48_V2_test.json", '[{"vid_name": "x", "label": true}]', r":1: label True is no cl"),
        ("Diving48_vocab.json", '[["Back", 15]]', r"vocab\.json: class 0 is \['Back', 15\]; write"),
        ("Diving48_vocab.json", "[null]", r"vocab\.json: class 0 is None; write it as \[\"Back"),
        ("Diving48_vocab.json", "{}", r"vocab\.json names no classes"),
    ],
)
def test_faults_name_file_line_and_remedy(build, write, tmp_path, name, content, message):
    data = build("diving48", root=tmp_path, annotations=write(LISTS | {name: content}))
    with pytest.raises(ConfigError, match=message):
        data.manifest()
