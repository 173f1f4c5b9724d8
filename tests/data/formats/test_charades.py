import json

import pytest

from videoclf.errors import ConfigError

# Rows written to the documented format, apart from the last test; no official list was at hand.
HEADER = "id,subject,scene,script,actions,length\n"


def rows(subset, count):
    actions = ("c000 11.90 21.20;c002 0.00 12.60", "c001 0.00 3.10", "")
    return HEADER + "".join(
        f'{subset}{i:03d},S{i // 4},Kitchen,"A person, cooking.",{actions[i % 3]},24.83\n'
        for i in range(count)
    )


LISTS = {
    "Charades_v1_classes.txt": "c000 Holding some clothes\nc001 Sitting\nc002 Opening a door\n",
    "Charades_v1_train.csv": rows("A", 40),
    "Charades_v1_test.csv": rows("B", 6),
}


def test_a_video_has_the_labels_of_all_its_actions(build, write, touch, tmp_path):
    names = [f"A{i:03d}.mp4" for i in range(40)] + [f"B{i:03d}.mp4" for i in range(6)]
    root = touch(tmp_path / "Charades_v1_480", names)
    data = build("charades", root=root, annotations=write(LISTS))
    manifest = data.manifest()
    assert data.multi_label
    assert manifest.class_names == ("Holding some clothes", "Sitting", "Opening a door")
    assert [manifest.record(i).labels for i in range(3)] == [(0, 2), (1,), ()]
    assert manifest.counts()["test"] == 6
    groups = {}
    for row in manifest.table.to_pylist()[:40]:
        groups.setdefault(row["group"], set()).add(row["subset"])
    assert all(len(subsets) == 1 for subsets in groups.values())
    assert {"val"} in groups.values()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "Charades_v1_train.csv",
            rows("A", 3) + 'x,S,K,"a\nb",c009 1 2,3\n',
            r"train\.csv:5: label 'c009' is none of the 3 classes; did you mean 'c00",
        ),
        ("Charades_v1_test.csv", "id,subject\nx,y\n", r"test\.csv:1: no column 'actions' among id"),
        ("Charades_v1_classes.txt", "c000\n", r"classes\.txt:1: 'c000' is not a code of its own"),
        (
            "Charades_v1_test.csv",
            rows("A", 1),
            r"test\.csv:2: A000\.mp4 is in test, but at .*csv:2",
        ),
        ("Charades_v1_test.csv", rows("B", 1) * 2, r"test\.csv:3: label 'actions' is none"),
    ],
)
def test_faults_name_file_line_and_remedy(build, write, tmp_path, name, content, message):
    data = build("charades", root=tmp_path, annotations=write(LISTS | {name: content}))
    with pytest.raises(ConfigError, match=message):
        data.manifest()


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"subset": "dev", "actions": []}, r"x\.json:3: subset 'dev' of b is neither training"),
        ({"subset": "testing", "actions": [[157, 0, 1]]}, r"x\.json:3: label 157 of b is no class"),
        ({"subset": "testing", "actions": [["x", 0]]}, r"x\.json:3: label 'x' of b is no class id"),
        ({"subset": ["testing"], "actions": []}, r"x\.json:3: subset \['testing'\] of b is nei"),
        ({"subset": "testing"}, r"x\.json:3: b has no list of actions; the file holds \{"),
        ({"subset": "testing", "actions": [[]]}, r"x\.json:3: b has no list of actions"),
        ({"subset": "testing", "actions": 3}, r"x\.json:3: b has no list of actions"),
        (7, r"x\.json:3: b has no list of actions"),
    ],
)
def test_faults_of_the_json_form(build, write, tmp_path, item, message):
    content = f'{{\n"a": {json.dumps({"subset": "training", "actions": []})},\n"b": '
    folder = write({"x.json": content + json.dumps(item) + "}"})
    with pytest.raises(ConfigError, match=message):
        build("charades", root=tmp_path, annotations=folder / "x.json").manifest()


def test_a_json_list_is_not_the_json_form(build, write, tmp_path):
    folder = write({"x.json": "[1]"})
    with pytest.raises(ConfigError, match=r"x\.json: not an object; it holds \{\"7UPGT\""):
        build("charades", root=tmp_path, annotations=folder / "x.json").manifest()


def test_real_json_form(build, samples, tmp_path):
    path = samples("annotations/charades") / "charades.json"
    data = build("charades", root=tmp_path, annotations=path, max_unreadable=10000)
    manifest = data.manifest()
    assert len(manifest.class_names) == 157
    counts = manifest.counts()
    assert counts["train"] + counts["val"] == 7985
    assert counts["test"] == 1863
    assert manifest.record(0).labels == (61, 63, 107, 110, 142, 143, 149, 152)
