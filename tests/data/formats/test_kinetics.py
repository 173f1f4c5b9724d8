import pytest

from videoclf.errors import ConfigError, DataError

HEADER = "label,youtube_id,time_start,time_end,split,is_cc\n"


def rows(subset, count):
    names = ("abseiling", "air drumming")
    return HEADER + "".join(
        f"{name},{subset}-_{name[:2]}{i:03d},{i},{i + 10},{subset},0\n"
        for name in names
        for i in range(count)
    )


LISTS = {"train.csv": rows("train", 50), "kinetics-400_val.csv": rows("val", 4)}


def files(style):
    """Paths as different downloads lay them out."""
    for subset, count in (("train", 50), ("val", 4)):
        for name in ("abseiling", "air drumming"):
            for i in range(count):
                stem = f"{subset}-_{name[:2]}{i:03d}"
                yield {
                    "classes": f"{subset}/{name}/{stem}_{i:06d}_{i + 10:06d}.mp4",
                    "flat": f"{stem}_{i:06d}_{i + 10:06d}.mp4",
                    "plain": f"{subset}/{name.replace(' ', '_')}/{stem}.mkv",
                    "frames": f"{stem}_{i:06d}_{i + 10:06d}/00001.jpg",
                }[style]


@pytest.mark.parametrize(
    ("style", "first"),
    [
        ("classes", "train/abseiling/train-_ab000_000000_000010.mp4"),
        ("flat", "train-_ab000_000000_000010.mp4"),
        ("plain", "train/abseiling/train-_ab000.mkv"),
        ("frames", "train-_ab000_000000_000010"),
    ],
)
def test_files_are_found_however_they_lie(build, write, touch, tmp_path, style, first):
    root = touch(tmp_path / "videos", files(style))
    reader = "frames" if style == "frames" else "pyav"
    data = build("kinetics400", root=root, annotations=write(LISTS), reader=reader)
    manifest = data.manifest()
    assert manifest.class_names == ("abseiling", "air drumming")
    assert manifest.counts() == {"train": 98, "val": 2, "test": 8}
    assert manifest.record(0).path == first
    assert manifest.record(0).start is None


def test_whole_videos_keep_their_times(build, write, touch, tmp_path):
    root = touch(tmp_path / "videos", files("plain"))
    data = build("kinetics400", root=root, annotations=write(LISTS), trimmed=False)
    assert (data.manifest().record(1).start, data.manifest().record(1).end) == (1.0, 11.0)


def test_the_test_list_makes_the_validation_list_val(build, write, touch, tmp_path):
    lists = LISTS | {"test.csv": HEADER + "abseiling,xyz,3,13,test,0\n"}
    root = touch(tmp_path / "videos", [*files("flat"), "xyz.webm"])
    values = {"root": root, "test_list": "test"}
    manifest = build("kinetics400", annotations=write(lists), **values).manifest()
    assert manifest.counts() == {"train": 100, "val": 8, "test": 1}
    write({"test.csv": "youtube_id,time_start,time_end,split\nxyz,3,13,test\n"})
    with pytest.raises(ConfigError, match=r"no column 'label', .* set data\.test_list=validation"):
        build("kinetics400", annotations=tmp_path / "annotations", **values).manifest()


def test_missing_and_doubled_files(build, write, touch, tmp_path):
    root = touch(tmp_path / "videos", list(files("flat"))[1:])
    data = {"root": root, "annotations": write(LISTS)}
    with pytest.raises(DataError, match=r"1 of 108 videos are missing .*ab000_000000_000010\.mp4;"):
        build("kinetics400", **data).manifest()
    touch(root, ["train-_ab000.mp4", "again/train-_ab000.mp4"])
    with pytest.raises(DataError, match=r"train-_ab000 is found 2 times below .*: again/train-_ab"):
        build("kinetics400", **data).manifest()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "kinetics-400_val.csv",
            HEADER + "abseilling,xyz,3,13,val,0\n",
            r"val\.csv:2: label 'abseilling' is none of the 2 classes; did you mean 'abseiling'\?",
        ),
        ("train.csv", HEADER + "x,xyz,,13,train,0\n", r"train\.csv:2: time_start is empty"),
        ("train.csv", HEADER + "x,y,0,1e9,train,0\n", r"train\.csv:2: time_end 1e9 is beyond 99"),
        ("train.csv", "label,id\nx,y\n", r"train\.csv:1: no column 'youtube_id' among label, id"),
        ("train.csv", rows("train", 5) + "a,b\n", r"train\.csv:12: 2 columns instead of 6"),
        ("old_train.csv", "x", r"holds several train lists \(old_train\.csv, train\.csv\); keep"),
    ],
)
def test_faults_name_file_line_and_remedy(build, write, tmp_path, name, content, message):
    folder = write(LISTS | {name: content})
    with pytest.raises(ConfigError, match=message):
        build("kinetics400", root=tmp_path, annotations=folder).manifest()


def test_a_missing_list_names_those_that_exist(build, write, tmp_path):
    data = build("kinetics600", root=tmp_path, annotations=write({"train.csv": rows("train", 5)}))
    with pytest.raises(ConfigError, match=r"name ends with val\.csv; add it .*holds train\.csv\)"):
        data.manifest()
    with pytest.raises(ValueError, match=r"data\.test_list=dev must be validation or test"):
        build("kinetics700", test_list="dev")


@pytest.mark.parametrize(
    ("name", "file", "labels", "count"),
    [
        ("kinetics400", "kinetics-400_val.csv", "label_map_k400.txt", 19906),
        ("kinetics600", "kinetics-600_val.head2000.csv", None, 1999),
    ],
)
def test_real_tables(build, samples, tmp_path, name, file, labels, count):
    # The official validation table stands as training list too, with other ids.
    real = (samples("annotations/kinetics") / file).read_text()
    (tmp_path / "val.csv").write_text(real)
    header, *lines = real.splitlines()
    changed = [line.replace(",", ",x", 1) if line[0] != '"' else line for line in lines]
    changed = [line.replace('",', '",x', 1) if line[0] == '"' else line for line in changed]
    (tmp_path / "train.csv").write_text("\n".join([header, *changed]))
    data = build(name, root=tmp_path, annotations=tmp_path, max_unreadable=50000)
    manifest = data.manifest()
    assert manifest.counts()["test"] == count
    if labels:
        expected = (samples("annotations/kinetics") / labels).read_text().splitlines()
        assert list(manifest.class_names) == expected
