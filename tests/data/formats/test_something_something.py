import json

import pytest

from videoclf.errors import ConfigError

NAMES = ("Putting something onto something", "Pushing something from left to right")
TEMPLATES = ("Putting [something] onto [something]", "Pushing [something] from left to right")


def lists_v1(prefix="something-something-v1", **changed):
    """Rows written to the documented format; no real file of it was at hand."""
    train = "".join(f"{i};{NAMES[i % 2]}\n" for i in range(100))
    validation = "".join(f"{i};{NAMES[i % 2]}\n" for i in range(100, 110))
    labels = "".join(f"{name}\n" for name in NAMES)
    files = {"labels": labels, "train": train, "validation": validation} | changed
    return {f"{prefix}-{name}.csv": text for name, text in files.items()} | {
        f"{prefix}-test.csv": "200\n201\n"
    }


def item(number, **changed):
    return {
        "id": str(number),
        "label": "putting wood onto cable",
        "template": TEMPLATES[number % 2],
        "placeholders": ["wood", "cable"],
        **changed,
    }


def lists_v2(**changed):
    files = {
        "labels": {name: str(class_id) for class_id, name in enumerate(NAMES)},
        "train": [item(i) for i in range(100)],
        "validation": [item(i) for i in range(100, 110)],
    }
    files = {name: json.dumps(content, indent=1) for name, content in files.items()} | changed
    return {f"something-something-v2-{name}.json": text for name, text in files.items()}


ALL = [
    ("something_something_v1", lists_v1()),
    ("jester", lists_v1("jester-v1")),
    ("something_something_v2", lists_v2()),
]


@pytest.mark.parametrize(("name", "files"), ALL)
def test_the_validation_list_is_test(build, write, touch, tmp_path, name, files):
    root = touch(tmp_path / "videos", [f"part{i % 3}/{i}.webm" for i in range(110)])
    data = build(name, root=root, annotations=write(files))
    manifest = data.manifest()
    assert data.directional
    assert manifest.class_names == NAMES
    assert manifest.counts() == {"train": 98, "val": 2, "test": 10}
    assert manifest.record(1).path == "part1/1.webm"
    assert manifest.record(1).labels == (1,)


@pytest.mark.parametrize(("name", "files"), ALL)
def test_folders_of_frames(build, write, touch, tmp_path, name, files):
    root = touch(tmp_path / "frames", [f"{i}/00001.jpg" for i in range(110)])
    data = build(name, root=root, annotations=write(files), reader="frames")
    assert data.manifest().record(1).path == "1"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"train": "1;Pushing something from left to rihgt\n"},
            r"train\.csv:1: label 'Pushing something from left to rihgt' .*mean 'Pushing .* right'",
        ),
        (
            {"train": f"1;{NAMES[0]}\n2\n"},
            r"train\.csv:2: 1 columns instead of 2 \(id, label\): '2'",
        ),
        ({"labels": "a\nb\na\n"}, r"labels\.csv:3: class 'a' stands on line 1 already"),
        ({"labels": "\n"}, r"labels\.csv names no class"),
        (
            {"validation": f"1;{NAMES[1]}\n"},
            r"validation\.csv:1: 1\.webm is in test, but at .*train\.csv:2 in train",
        ),
    ],
)
def test_faults_of_the_first_lists(build, write, tmp_path, changed, message):
    data = build("something_something_v1", root=tmp_path, annotations=write(lists_v1(**changed)))
    with pytest.raises(ConfigError, match=message):
        data.manifest()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"train": json.dumps([item(1), item(2, template="Putting [x]")], indent=1)},
            r"train\.json:11: label 'Putting x' is none of the 2 classes",
        ),
        (
            {"train": '[\n{"id": 1, "template": null}]'},
            r"train\.json:2: label 'None' is none of the 2 classes",
        ),
        ({"train": '[\n{"id": 1}]'}, r"train\.json:2: no 'template' in \{\"id\": 1\}; an item has"),
        ({"train": "[\n1]"}, r"train\.json:2: no 'id' in 1; an item has id, template"),
        ({"train": '{"a": 1}'}, r"train\.json:1: not a list"),
        ({"train": '[\n{"id": 1,}]'}, r"train\.json:2: not JSON: .*; mend the file"),
        ({"train": "[\n" + json.dumps(item(1))}, r"train\.json:2: no ',' or '\]' after an item"),
        ({"train": b'[\n"\xff"]'}, r"train\.json:2: not UTF-8"),
        ({"labels": "{\n\n"}, r"labels\.json:3: not JSON"),
        ({"labels": "[]"}, r"labels\.json names no classes"),
        ({"labels": '{"a": "0", "b": "2"}'}, r"labels\.json: no class has the id 1; the 2 classes"),
    ],
)
def test_faults_of_the_second_lists(build, write, tmp_path, changed, message):
    data = build("something_something_v2", root=tmp_path, annotations=write(lists_v2(**changed)))
    with pytest.raises(ConfigError, match=message):
        data.manifest()


def test_real_labels_and_templates(build, samples, tmp_path):
    folder = samples("annotations/ssv2")
    labels = json.loads((folder / "labels.json").read_text())
    items = json.loads((folder / "train.sample8.json").read_text())
    used = {i["template"].replace("[", "").replace("]", "") for i in items}
    assert used <= labels.keys()
    # Every class needs a video: one is made up for each that the sample lacks.
    made_up = [{"id": f"m{n}", "template": name} for n, name in enumerate(labels.keys() - used)]
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    (tmp_path / "train.json").write_text(json.dumps(items + made_up))
    (tmp_path / "validation.json").write_text(json.dumps([{**items[0], "id": "other"}]))
    values = {"root": tmp_path, "annotations": tmp_path, "max_unreadable": 999, "val_fraction": 0}
    manifest = build("something_something_v2", **values).manifest()
    assert len(manifest.class_names) == 174
    assert manifest.record(0).path == f"{items[0]['id']}.webm"
    assert manifest.class_names[int(labels["Moving something up"])] == "Moving something up"


def test_real_jester_labels(samples):
    from videoclf.data.formats.annotation_lines import class_list

    assert len(class_list(samples("annotations/jester") / "label_map.txt")) == 27
