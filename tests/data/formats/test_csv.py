import time

import pyarrow as pa
import pyarrow.parquet
import pytest

from videoclf.errors import ConfigError, DataError

PATHS = [f"{name}/{i:02d}.mp4" for name in ("jump", "run") for i in range(20)]


def table(columns="path,label", separator=","):
    """A header and a row per path; `columns` beside path and label are left empty."""
    rest = separator * (columns.count(separator) - 1)
    rows = [f"{path}{separator}{path.split('/')[0]}{rest}" for path in PATHS]
    return "\n".join([columns, *rows]) + "\n"


@pytest.fixture
def root(touch, tmp_path):
    return touch(tmp_path / "videos", [*PATHS, "a.mp4", "b.mp4", "c.mp4", "d.mp4"])


@pytest.fixture
def manifest(build, write, root):
    def manifest(content, name="my.csv", **overrides):
        data = build("csv", root=root, annotations=write({name: content}) / name, **overrides)
        return data.manifest()

    return manifest


def test_val_and_test_are_held_out(manifest):
    found = manifest(table())
    assert found.class_names == ("jump", "run")
    assert found.counts() == {"train": 28, "val": 6, "test": 6}
    assert not found.multi_label


@pytest.mark.parametrize("kind", ["tsv", "crlf", "bom", "quoted", "blank lines"])
def test_ways_to_write_the_same_table(manifest, kind):
    content = {
        "tsv": table("path\tlabel", "\t"),
        "crlf": table().replace("\n", "\r\n"),
        "bom": "\ufeff" + table(),
        "quoted": table().replace(",jump", ',"jump"'),
        "blank lines": table().replace("\n", "\n\n"),
    }[kind]
    found = manifest(content, "my.tsv" if kind == "tsv" else "my.csv")
    assert found.sha256 == manifest(table()).sha256


def test_parquet(build, write, root):
    folder = write({})
    columns = {"path": PATHS, "labels": [[p.split("/")[0], "all"] for p in PATHS]}
    pyarrow.parquet.write_table(pa.table(columns), folder / "my.parquet")
    found = build("csv", root=root, annotations=folder / "my.parquet").manifest()
    assert found.class_names == ("all", "jump", "run")
    assert found.record(0).labels == (1, 0)
    columns = {"path": PATHS, "label": [b"\xff"] * 40}
    pyarrow.parquet.write_table(pa.table(columns), folder / "my.parquet")
    with pytest.raises(ConfigError, match=r"my\.parquet: a column is no text: .*; write it as str"):
        build("csv", root=root, annotations=folder / "my.parquet").manifest()
    columns = {"path": PATHS, "label": ["x"] * 39 + [""]}
    pyarrow.parquet.write_table(pa.table(columns), folder / "my.parquet")
    with pytest.raises(ConfigError, match=r"my\.parquet: row 39: label '' holds an empty label"):
        build("csv", root=root, annotations=folder / "my.parquet").manifest()


def test_subsets_times_and_groups(manifest):
    found = manifest(
        "path,label,subset,start,end,group\n"
        "a.mp4,x,train,0,2.5,g\n"
        "a.mp4,x,train,2.5,,g\n"
        "b.mp4,y,train,,,\n"
        "c.mp4,x,val,,,h\n"
        "d.mp4,y,test,,,\n"
    )
    assert found.counts() == {"train": 3, "val": 1, "test": 1}
    assert (found.record(0).start, found.record(0).end, found.record(0).group) == (0.0, 2.5, "g")
    assert (found.record(1).start, found.record(1).end) == (2.5, None)
    assert found.record(2).group is None


def test_only_a_missing_val_is_held_out(manifest):
    content = table("path,label,subset").replace(",\n", ",train\n") + "a.mp4,run,test\n"
    assert manifest(content).counts() == {"train": 34, "val": 6, "test": 1}


def test_groups_are_held_out_whole(manifest):
    rows = table("path,label,group").splitlines()
    content = "\n".join([rows[0], *(f"{r}scene{i // 4}" for i, r in enumerate(rows[1:]))])
    subsets = {}
    for row in manifest(content).table.to_pylist():
        subsets.setdefault(row["group"], set()).add(row["subset"])
    assert len(subsets) == 10
    assert all(len(own) == 1 for own in subsets.values())


def test_a_table_of_test_rows_is_for_evaluation(manifest):
    found = manifest("path,label,subset\na.mp4,x,test\nb.mp4,y,test\n")
    assert found.counts() == {"train": 0, "val": 0, "test": 2}


def test_several_labels(manifest):
    found = manifest(
        "path,label,subset\na.mp4,x|y,train\nb.mp4,z| x,train\nb.mp4,y,train\nc.mp4,y,val\n"
    )
    assert found.multi_label
    assert [r["labels"] for r in found.table.to_pylist()] == [[0, 1], [0, 1, 2], [1]]


def test_a_column_named_labels_joins_rows(manifest):
    found = manifest("path,labels,subset\na.mp4,x,train\na.mp4,y,train\nb.mp4,y,val\n")
    assert found.record(0).labels == (0, 1)


def test_label_column_and_class_names(manifest):
    content = "path,verb,subset\na.mp4,cut,train\nb.mp4,stir,train\nc.mp4,cut,val\n"
    found = manifest(content, label_column="verb", class_names=["stir", "cut"])
    assert found.class_names == ("stir", "cut")
    assert found.record(0).labels == (1,)
    with pytest.raises(ConfigError, match=r"my\.csv:2: label 'cut' is none .*; did you mean 'cot'"):
        manifest(content, label_column="verb", class_names=["stir", "cot"])


def test_numbers_as_labels_are_sorted_by_value(manifest):
    found = manifest("path,label,subset\na.mp4,10,train\nb.mp4,9,train\nc.mp4,9,val\n")
    assert found.class_names == ("9", "10")


def test_without_a_root_paths_lie_beside_the_table(build, root):
    (root / "my.csv").write_text(table())
    data = build("csv", annotations=root / "my.csv")
    assert data.folder() == root
    assert len(data.manifest()) == 40


def test_absolute_paths(manifest, root, tmp_path):
    content = table().replace("\n", f"\n{root}/").rsplit("\n", 1)[0]
    assert manifest(content).sha256 == manifest(table()).sha256
    with pytest.raises(ConfigError, match=r"my\.csv:2: /else/x/a.mp4 is not below .*=/else/x or"):
        manifest("path,label\n/else/x/a.mp4,x\n")


HEADER = "path,label,subset,start,end,group\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"my\.csv is empty; it must hold a header"),
        ("path,label\n", r"my\.csv has no rows below its header"),
        ("a.mp4,x\nb.mp4,y\n", r"my\.csv:1: no column 'path' among a\.mp4, x; the first line is"),
        ("Path,label\na.mp4,x\n", r"no column 'path' among Path, label; rename 'Path'"),
        ("path,label,label\na.mp4,x,x\n", r"my\.csv:1: column 'label' stands twice"),
        ("path,label,split\na.mp4,x,val\n", r"my\.csv:1: rename the column 'split' to 'subset'"),
        ("path,label,Group\na.mp4,x,g\n", r"my\.csv:1: rename the column 'Group' to 'group'"),
        (
            "path,label\na.mp4,x\n\nb.mp4\n",
            r"my\.csv:4: 1 columns instead of 2 \(path, label\): 'b",
        ),
        ("path,label\na.mp4,x\nb.mp4,x,y\n", r"my\.csv:3: 3 columns instead of 2 .*'b\.mp4,x,y'"),
        (b"path,label\na.mp4,x\nb\xe9.mp4,y\n", r"my\.csv:3: not UTF-8 at 'b\\\\xe9'; save the"),
        ("path,label\na.mp4,\n", r"my\.csv:2: label '' holds an empty label"),
        ('path,label\n"a\n.mp4",x\nb.mp4,x|\n', r"my\.csv:4: label 'x\|' holds an empty label"),
        ("path,label\n ,x\n", r"my\.csv:2: the path is empty"),
        (HEADER + "a.mp4,x,dev,,,\n", r"my\.csv:2: subset 'dev' is none of train, val, test; mend"),
        (HEADER + "a.mp4,x,valid,,,\n", r"subset 'valid' is none of .*; did you mean 'val'\?"),
        (HEADER + "a.mp4,x,train,1s,,\n", r"my\.csv:2: start '1s' is no number; write seconds"),
        (HEADER + "a.mp4,x,train,nan,,\n", r"my\.csv:2: start 'nan' is no number"),
        (HEADER + "a.mp4,x,train,-1,,\n", r"my\.csv:2: start -1 s is negative"),
        (HEADER + "a.mp4,x,train,3,2,\n", r"my\.csv:2: end 2 s is not after start 3 s"),
        (
            HEADER + "a.mp4,x,train,,,\na.mp4,x,train,,,\n",
            r"my\.csv:3: a\.mp4 is listed already at .*my\.csv:2; delete one of the rows",
        ),
        (
            HEADER + "a.mp4,x,train,,,\na.mp4,y,train,,,\n",
            r"my\.csv:3: a\.mp4 has the label 'y', but at .*my\.csv:2 it has 'x'; a video has one",
        ),
        (
            HEADER + "a.mp4,x,train,0,5,\na.mp4,x,test,4,6,\n",
            r"my\.csv:3: a\.mp4 is in test, but at .*my\.csv:2 in train; a video must stand in one",
        ),
        (
            HEADER + "a.mp4,x,train,,,g\nb.mp4,x,val,,,g\n",
            r"my\.csv:3: group 'g' is in val, but at .*my\.csv:2 in train; a group must",
        ),
        (
            HEADER + "a.mp4,x,train,,,\nb.mp4,y,val,,,\n",
            r"my\.csv: no train row has the class 'y'; add one, or take the class out",
        ),
        (HEADER + "../a.mp4,x,train,,,\nb.mp4,x,val,,,\n", r"'\.\./a\.mp4' is not inside the data"),
        (
            HEADER + "http://x/a.mp4,x,train,,,\nb.mp4,x,val,,,\n",
            r"'http://x/a\.mp4' is not inside the data root",
        ),
    ],
)
def test_faults_name_file_line_and_remedy(manifest, content, message):
    with pytest.raises(ConfigError, match=message):
        manifest(content)


def test_stretches_of_one_video_may_stand_in_different_subsets(manifest):
    found = manifest(HEADER + "a.mp4,x,train,0,5,\na.mp4,x,test,5,6,\na.mp4,x,val,6,,\n")
    assert found.counts() == {"train": 1, "val": 1, "test": 1}


def test_missing_files(build, write, root, manifest):
    with pytest.raises(ConfigError, match=r"data\.annotations is not set; give a table"):
        build("csv", root=root).manifest()
    with pytest.raises(
        ConfigError, match=r"mine\.csv does not exist; mend the path .*holds my\.csv"
    ):
        build("csv", root=root, annotations=write({"my.csv": "x"}) / "mine.csv").manifest()
    with pytest.raises(ConfigError, match=r"my\.txt must end with one of \.csv, \.tsv, \.parquet"):
        manifest(table(), "my.txt")
    with pytest.raises(ConfigError, match=r"my\.parquet is no readable Parquet file"):
        manifest(table(), "my.parquet")
    with pytest.raises(DataError, match=r"1 of 41 videos are missing below .*: run/x\.mp4; check"):
        manifest(table() + "run/x.mp4,run\n")


def test_two_hundred_thousand_rows_take_less_than_three_seconds(
    build, write, tmp_path, monkeypatch
):
    monkeypatch.setattr("videoclf.data.formats.assemble.check_files", lambda *_, **__: None)
    rows = "".join(f"class_{i % 400}/{i:07d}.mp4,class {i % 400}\n" for i in range(200_000))
    annotations = write({"my.csv": "path,label\n" + rows}) / "my.csv"
    begin = time.process_time()
    manifest = build("csv", root=tmp_path, annotations=annotations).manifest()
    assert time.process_time() - begin < 3.0
    assert manifest.counts() == {"train": 140_000, "val": 30_000, "test": 30_000}


def test_hashes_are_read_in_any_case(manifest):
    hashes = ["0f" * 32, "AB" * 32, "", " " + "9" * 64]
    rows = [f"{name}.mp4,x,train,{sha256}" for name, sha256 in zip("abcd", hashes, strict=True)]
    found = manifest("\n".join(["path,label,subset,sha256", *rows]), val_fraction=0.0)
    assert [found.record(row).sha256 for row in range(4)] == [
        *("0f" * 32, "ab" * 32, None, "9" * 64),
    ]
    without = manifest(
        "\n".join(["path,label,subset", *(r.rpartition(",")[0] for r in rows)]), val_fraction=0.0
    )
    assert without.sha256 != found.sha256


def test_hashes_follow_their_rows(manifest):
    found = manifest(
        "path,labels,subset,sha256\n"
        f"a.mp4,x,train,{'1' * 64}\na.mp4,y,train,{'1' * 64}\nb.mp4,x|y,train,{'2' * 64}\n"
        f"c.mp4,x,test,{'3' * 64}\n",
        val_fraction=0.0,
    )
    assert [found.record(row).sha256[0] for row in range(3)] == ["1", "2", "3"]


def test_a_number_beyond_all_numbers_is_none(manifest):
    with pytest.raises(ConfigError, match=r"my\.csv:3: start '1e400' is no number; write seconds"):
        manifest("path,label,start\na.mp4,x,+1.5\nb.mp4,x,1e400\n")


@pytest.mark.parametrize("value", ["abc", "g" * 64, "a" * 63, "a" * 65])
def test_what_is_no_hash_is_named(manifest, value):
    with pytest.raises(ConfigError, match=rf"my\.csv:3: sha256 '{value}' is no hash of a file; wr"):
        manifest(f"path,label,sha256\na.mp4,x,\nb.mp4,x,{value}\n")
