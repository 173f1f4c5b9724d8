import pytest

from videoclf.errors import ConfigError

HEADER = (
    "narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,"
    "start_frame,stop_frame,narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes\n"
)


def rows(participant, videos, segments=4):
    return HEADER + "".join(
        f"{participant}_{v}_{s},{participant},{participant}_{v:02d},00:00:01.1,00:00:0{s}.14,"
        f"00:01:0{s}.37,8,202,open door,open,{s % 2},door,{s % 3},\"['door', 'tap']\",\"[0, 1]\"\n"
        for v in range(videos)
        for s in range(segments)
    )


LISTS = {
    "EPIC_100_train.csv": rows("P01", 20),
    "EPIC_100_validation.csv": rows("P02", 2),
    "EPIC_100_verb_classes.csv": "id,key,instances,category\n0,take,x,x\n1,put,x,x\n",
    "EPIC_100_noun_classes.csv": "id,key\n0,tap\n1,spoon\n2,plate\n3,cupboard\n",
}


def test_segments_of_verbs_and_nouns(build, write, touch, tmp_path, caplog):
    files = [f"P01/videos/P01_{v:02d}.MP4" for v in range(20)]
    root = touch(tmp_path / "EPIC", [*files, "P02_00.mp4", "P02_01.mp4"])
    data = {"root": root, "annotations": write(LISTS)}
    verbs = build("epic_kitchens", **data).manifest()
    assert verbs.class_names == ("take", "put")
    assert verbs.counts() == {"train": 76, "val": 4, "test": 8}
    record = verbs.record(1)
    assert record.path == "P01/videos/P01_00.MP4"
    assert (record.labels, record.start, record.end) == ((1,), 1.14, 61.37)
    assert record.group == "P01_00"
    assert verbs.record(80).path == "P02_00.mp4"
    nouns = build("epic_kitchens", **data, label_column="noun").manifest()
    assert nouns.class_names == ("tap", "spoon", "plate", "cupboard")
    assert "no train row has the classes 'cupboard'" in caplog.text


def test_of_two_actions_at_the_same_time_the_first_is_kept(build, write, tmp_path, caplog):
    validation = rows("P02", 2)
    again = validation.splitlines()[1].replace("open,0", "open,1").replace("P02_0_0", "P02_0_9")
    folder = write(LISTS | {"EPIC_100_validation.csv": validation + again + "\n"})
    data = build("epic_kitchens", root=tmp_path, annotations=folder, max_unreadable=99)
    manifest = data.manifest()
    assert manifest.counts()["test"] == 8
    assert manifest.record(80).labels == (0,)
    assert "1 rows left out" in caplog.text
    assert "validation.csv:10" in caplog.text


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (
            "validation",
            "00:00:03.14",
            "3.14",
            r"validation\.csv:5: start_timestamp '3\.14' is no ti",
        ),
        (
            "validation",
            "00:01:00.37",
            "00:00:00.10",
            r"csv:2: end 0\.1 s is not after start 0\.14 s",
        ),
        ("validation", "open,1", "open,2", r"csv:3: verb_class '2' is no class id; the 2 classes"),
        ("train", "verb_class", "verbs", r"train\.csv:1: no column 'verb_class' among .*; rename"),
        ("verb_classes", "1,put", "2,put", r"verb_classes\.csv:3: id '2' stands where 1 should"),
    ],
)
def test_faults_name_file_line_and_remedy(build, write, tmp_path, name, old, new, message):
    name = f"EPIC_100_{name}.csv"
    folder = write(LISTS | {name: LISTS[name].replace(old, new)})
    with pytest.raises(ConfigError, match=message):
        build("epic_kitchens", root=tmp_path, annotations=folder).manifest()


def test_the_target_must_be_known(build):
    with pytest.raises(ValueError, match=r"data\.label_column=action must be verb or noun"):
        build("epic_kitchens", label_column="action")


def test_real_tables(build, samples, tmp_path):
    folder = samples("annotations/epic")
    for name, source in (
        ("EPIC_100_train.csv", "EPIC_100_uda_source_train.head1000.csv"),
        ("EPIC_100_validation.csv", "EPIC_100_validation.head500.csv"),
        ("EPIC_100_verb_classes.csv", "EPIC_100_verb_classes.csv"),
        ("EPIC_100_noun_classes.csv", "EPIC_100_noun_classes_v2.csv"),
    ):
        (tmp_path / name).symlink_to(folder / source)
    for target, num_classes in (("verb", 97), ("noun", 305)):
        manifest = build(
            "epic_kitchens",
            root=tmp_path,
            annotations=tmp_path,
            label_column=target,
            max_unreadable=99,
            val_fraction=0.3,
        ).manifest()
        assert len(manifest.class_names) == num_classes
        assert manifest.counts()["test"] == 499
        assert len(manifest) == 999 + 499
    assert manifest.record(0).path == "P01/videos/P01_01.MP4"
    assert (manifest.record(0).start, manifest.record(0).end) == (0.14, 3.37)
