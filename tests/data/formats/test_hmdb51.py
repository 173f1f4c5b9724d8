import pytest

from videoclf.errors import ConfigError

CLASSES = ("run", "shake_hands")


def lines(class_name, mark_of_film=lambda film: 1 + (film >= 14)):
    return "".join(
        f"Film_{film}_{class_name}_u_cm_np1_fr_med_{clip}.avi {mark_of_film(film)} \n"
        for film in range(20)
        for clip in range(5)
    )


def lists(**changed):
    files = {f"{name}_test_split1.txt": lines(name) for name in CLASSES}
    return files | {f"{name}_test_split1.txt": text for name, text in changed.items()}


def data(build, folder, tmp_path, **overrides):
    (tmp_path / "videos").mkdir(exist_ok=True)
    values = {"root": tmp_path / "videos", "max_unreadable": 7000, "annotations": folder}
    return build("hmdb51", **values | overrides)


def test_marks_and_films(build, write, tmp_path):
    manifest = data(build, write(lists()), tmp_path).manifest()
    assert manifest.class_names == CLASSES
    assert manifest.counts() == {"train": 120, "val": 20, "test": 60}
    assert manifest.record(0).group == "run/Film_0"
    assert manifest.record(0).path == "run/Film_0_run_u_cm_np1_fr_med_0.avi"


def test_mark_0_is_not_used(build, write, tmp_path):
    text = lines("run", lambda film: (1, 2, 0)[film % 3])
    assert len(data(build, write(lists(run=text)), tmp_path).manifest()) == 170


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.avi 1\nb.avi 3\n", r"run_test_split1\.txt:2: '3' is none of 1 \(train\), 2 \(test\)"),
        ("a b.avi 1\n", r"run_test_split1\.txt:1: 'a b\.avi 1' has 3 columns; a line is"),
        ("a.avi 1\na.avi 1\n", r"run_test_split1\.txt:2: run/a\.avi is listed already at .*txt:1"),
        (
            "x_run_1.avi 1\nx_run_2.avi 2\n",
            r"txt:2: group 'run/x' is in test, but at .*txt:1 in tr",
        ),
        ("a.avi 0\n", r"annotations: no train row has the class 'run'"),
    ],
)
def test_faults_name_file_line_and_remedy(build, write, tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        data(build, write(lists(run=text)), tmp_path).manifest()


def test_missing_lists(build, write, tmp_path):
    with pytest.raises(
        ConfigError, match=r"no list <class>_test_split3\.txt; it holds \*_test_spl"
    ):
        data(build, write(lists()), tmp_path, split=3).manifest()
    with pytest.raises(ValueError, match=r"data\.split=0 must be 1, 2 or 3"):
        data(build, tmp_path, tmp_path, split=0)


@pytest.mark.parametrize("split", [1, 2, 3])
def test_official_lists(build, samples, tmp_path, split):
    manifest = data(build, samples("annotations/hmdb51"), tmp_path, split=split).manifest()
    names = (samples("annotations/hmdb51") / "class_list.txt").read_text().split()
    assert manifest.class_names == tuple(sorted(names))
    counts = manifest.counts()
    assert counts["test"] == 1530
    assert counts["train"] + counts["val"] == 3570
    assert 0.12 < counts["val"] / 3570 < 0.18
