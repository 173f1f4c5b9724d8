import pytest

from videoclf.errors import ConfigError, DataError

CLASSES = "1 Punch\r\n2 PushUps\r\n"


def name(class_name, group, clip=1):
    return f"{class_name}/v_{class_name}_g{group:02d}_c{clip:02d}.avi"


def clips(groups, clips=range(1, 5)):
    return [name(c, g, k) for c in ("Punch", "PushUps") for g in groups for k in clips]


TRAIN, TEST = clips(range(8, 26)), clips(range(1, 8))


def lists(train=None, test=None, classes=CLASSES):
    ids = {"Punch": 1, "PushUps": 2}
    train = train or "".join(f"{path} {ids[path.split('/')[0]]}\r\n" for path in TRAIN)
    test = test or "".join(f"{path}\r\n" for path in TEST)
    return {"classInd.txt": classes, "trainlist01.txt": train, "testlist01.txt": test}


@pytest.fixture
def root(touch, tmp_path):
    return touch(tmp_path / "videos", TRAIN + TEST)


def test_val_takes_whole_groups_of_train(build, write, root):
    manifest = build("ucf101", root=root, annotations=write(lists())).manifest()
    assert manifest.class_names == ("Punch", "PushUps")
    assert manifest.counts() == {"train": 120, "val": 24, "test": 56}
    groups = {}
    for row in manifest.table.to_pylist():
        groups.setdefault(row["group"], set()).add(row["subset"])
    assert all(len(subsets) == 1 for subsets in groups.values())
    assert manifest.record(0).group == "Punch_g08"
    assert [
        sum(g.startswith(c) and s == {"val"} for g, s in groups.items()) for c in ("Pun", "Pus")
    ]


def test_frame_folders_have_no_ending(build, write, touch, tmp_path):
    root = touch(tmp_path / "frames", [f"{p[:-4]}/00001.jpg" for p in TRAIN + TEST])
    data = build("ucf101", root=root, annotations=write(lists()), reader="frames")
    assert data.manifest().record(0).path == "Punch/v_Punch_g08_c01"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"train": f"\n{TRAIN[0]} 2\n"}, r"trainlist01\.txt:2: .* has id 2, but classInd\.txt"),
        ({"train": f"{TRAIN[0]}\n"}, r"trainlist01\.txt:1: .* has 1 columns; a line is"),
        ({"train": f"{TRAIN[0]} 1 3\n"}, r"trainlist01\.txt:1: .* has 3 columns"),
        ({"train": "Punch/clip.avi 1\n"}, r"trainlist01\.txt:1: 'Punch/clip.avi' is no clip of"),
        (
            {"test": "Pnuch/v_Punch_g01_c01.avi\n"},
            r"testlist01\.txt:1: label 'Pnuch' is none of the 2 classes; did you mean 'Punch'\?",
        ),
        (
            {"train": f"{TRAIN[0]} 1\n{TRAIN[0]} 1\n{TRAIN[-1]} 2\n"},
            r"trainlist01\.txt:2: .*g08_c01\.avi is listed already at .*trainlist01\.txt:1; delete",
        ),
        (
            {"test": f"{TEST[0]}\n{TRAIN[0]}\n"},
            r"testlist01\.txt:2: .* is in test, but at .*trainlist01\.txt:1 in train",
        ),
        (
            {"test": name("Punch", 8, 9)},
            r"testlist01\.txt:1: group 'Punch_g08' is in test, but at .*trainlist01\.txt:1 in tra",
        ),
        ({"train": f"{TRAIN[0]} 1\n"}, r"trainlist01\.txt: no train row has the class 'PushUps'"),
        ({"classes": "1 Punch\n3 PushUps\n"}, r"classInd\.txt:2: '3 PushUps' is not 2 and a class"),
        ({"classes": "\n"}, r"classInd\.txt names no class"),
        ({"train": b"Punch/v_Punch_g08_c\xff1.avi 1"}, r"trainlist01\.txt:1: not UTF-8 at .*\\xff"),
    ],
)
def test_faults_name_file_line_and_remedy(build, write, root, files, message):
    data = build("ucf101", root=root, annotations=write(lists(**files)))
    with pytest.raises(ConfigError, match=message):
        data.manifest()


def test_a_missing_list_names_those_that_exist(build, write, root):
    with pytest.raises(ConfigError, match=r"trainlist02\.txt does not exist; .*trainlist01\.txt\)"):
        build("ucf101", root=root, annotations=write(lists()), split=2).manifest()
    with pytest.raises(ConfigError, match=r"data\.annotations is not set; give the folder"):
        build("ucf101", root=root).manifest()
    with pytest.raises(ConfigError, match=r"data\.annotations=.*nowhere does not exist"):
        build("ucf101", root=root, annotations=root / "nowhere").manifest()
    with pytest.raises(ValueError, match=r"data\.split=4 must be 1, 2 or 3"):
        build("ucf101", split=4)


def test_missing_videos_are_counted_and_listed(build, write, root):
    for path in TRAIN[:2]:
        (root / path).unlink()
    data = {"root": root, "annotations": write(lists())}
    with pytest.raises(DataError, match=r"2 of 200 videos are missing below .*: Punch/v_Punch_g08"):
        build("ucf101", **data).manifest()
    assert len(build("ucf101", **data, max_unreadable=2).manifest()) == 200


@pytest.mark.parametrize(
    ("split", "train", "val", "test"),
    [(1, 8047, 1490, 3783), (2, 8074, 1512, 3734), (3, 8100, 1524, 3696)],
)
def test_official_lists(build, samples, tmp_path, split, train, val, test):
    lists = samples("annotations/ucf101")
    data = build("ucf101", root=tmp_path, annotations=lists, split=split, max_unreadable=20000)
    manifest = data.manifest()
    assert len(manifest.class_names) == 101
    assert manifest.counts() == {"train": train, "val": val, "test": test}
    assert train + val == {1: 9537, 2: 9586, 3: 9624}[split]


def test_real_subset(build, samples):
    folder = samples("ucf101_three_classes")
    data = build("ucf101", root=folder / "videos", annotations=folder / "ucfTrainTestlist")
    assert data.manifest().counts() == {"train": 175, "val": 33, "test": 82}
