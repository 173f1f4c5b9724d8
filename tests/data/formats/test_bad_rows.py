"""The faults that every format must name by file and line, over all formats alike.

A row twice, a video in train and test, a label out of range, bytes that are not UTF-8: exit code 2.
Missing files: exit code 3, counted and listed. Files are written here to the documented formats.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from videoclf.errors import ConfigError, DataError

CLASSES = ("jump", "run")
URL = "https://www.youtube.com/watch?v="
EPIC = "participant_id,video_id,start_timestamp,stop_timestamp,verb_class"


@dataclass(frozen=True)
class Form:
    """How a format writes a row (video, class id, subset) and where its file must lie."""

    train: str
    test: str
    row: Callable[[str, int, str], str]
    file: Callable[[str, str], str] = lambda video, subset: f"{video}.mp4"
    head: str = ""
    others: dict[str, str] = field(default_factory=dict)
    overrides: dict[str, object] = field(default_factory=dict)
    json_list: bool = False
    several_labels: bool = False
    first_is_kept: bool = False

    def write(self, train: list[str], test: list[str]) -> dict[str, str]:
        """Return the files, the rows of each on lines of their own."""
        if self.train == self.test:
            return {self.train: self._text([*train, *test]), **self.others}
        return {self.train: self._text(train), self.test: self._text(test), **self.others}

    def _text(self, rows: list[str]) -> str:
        if self.json_list:
            return "[\n" + ",\n".join(rows) + "\n]\n"
        return self.head + "".join(f"{row}\n" for row in rows)


def name_of(label):
    return CLASSES[label] if label < len(CLASSES) else f"class{label}"


CLASS_LINES = "".join(f"{name}\n" for name in CLASSES)
FORMS = {
    "ucf101": Form(
        "trainlist01.txt",
        "testlist01.txt",
        row=lambda video, label, subset: (
            (f"{name_of(label)}/v_{video}_g{subset_group(subset, video)}_c01.avi")
            + (f" {label + 1}" if subset == "train" else "")
        ),
        file=lambda video, subset: (
            f"{CLASSES[int(video[1:]) % 2]}/v_{video}_g{subset_group(subset, video)}_c01.avi"
        ),
        others={"classInd.txt": "1 jump\n2 run\n"},
    ),
    "kinetics400": Form(
        "train.csv",
        "val.csv",
        row=lambda video, label, subset: f"{name_of(label)},{video},0,10,{subset}",
        file=lambda video, subset: f"{subset}/{video}_000000_000010.mp4",
        head="label,youtube_id,time_start,time_end,split\n",
    ),
    "something_something_v1": Form(
        "v1-train.csv",
        "v1-validation.csv",
        row=lambda video, label, subset: f"{video};{name_of(label)}",
        file=lambda video, subset: f"{video}.webm",
        others={"v1-labels.csv": CLASS_LINES},
    ),
    "jester": Form(
        "jester-v1-train.csv",
        "jester-v1-validation.csv",
        row=lambda video, label, subset: f"{video};{name_of(label)}",
        file=lambda video, subset: f"{video}.webm",
        others={"jester-v1-labels.csv": CLASS_LINES},
    ),
    "something_something_v2": Form(
        "train.json",
        "validation.json",
        row=lambda video, label, subset: json.dumps({"id": video, "template": name_of(label)}),
        file=lambda video, subset: f"{video}.webm",
        others={"labels.json": json.dumps({name: str(i) for i, name in enumerate(CLASSES)})},
        json_list=True,
    ),
    "sports1m": Form(
        "train_partition.txt",
        "test_partition.txt",
        row=lambda video, label, subset: f"{URL}{video} {label}",
        others={"labels.txt": CLASS_LINES},
        several_labels=True,
    ),
    "moments_in_time": Form(
        "trainingSet.csv",
        "validationSet.csv",
        row=lambda video, label, subset: f"{video}.mp4,{name_of(label)},3,1",
        file=lambda video, subset: (
            f"{'training' if subset == 'train' else 'validation'}/{video}.mp4"
        ),
        others={"moments_categories.txt": "jump,0\nrun,1\n"},
    ),
    "diving48": Form(
        "Diving48_V2_train.json",
        "Diving48_V2_test.json",
        row=lambda video, label, subset: json.dumps({"vid_name": video, "label": label}),
        others={"Diving48_vocab.json": json.dumps(CLASSES)},
        json_list=True,
    ),
    "charades": Form(
        "Charades_v1_train.csv",
        "Charades_v1_test.csv",
        row=lambda video, label, subset: f"{video},S{video},c{label:03d} 0.00 3.10",
        head="id,subject,actions\n",
        others={"Charades_v1_classes.txt": "c000 jump\nc001 run\n"},
        several_labels=True,
    ),
    "epic_kitchens": Form(
        "EPIC_100_train.csv",
        "EPIC_100_validation.csv",
        row=lambda video, label, subset: f"P01,{video},00:00:01.00,00:00:02.00,{label}",
        file=lambda video, subset: f"P01/videos/{video}.MP4",
        head=EPIC + "\n",
        others={"EPIC_100_verb_classes.csv": "id,key\n0,jump\n1,run\n"},
        first_is_kept=True,
    ),
    "mmaction_videos": Form(
        "train.txt",
        "test.txt",
        row=lambda video, label, subset: f"{video}.mp4 {label}",
        others={"names.txt": CLASS_LINES},
        overrides={"train_list": "train.txt", "test_list": "test.txt", "label_map": "names.txt"},
    ),
    "mmaction_rawframes": Form(
        "train.txt",
        "test.txt",
        row=lambda video, label, subset: f"{video} 30 {label}",
        file=lambda video, subset: video,
        others={"names.txt": CLASS_LINES},
        overrides={
            "train_list": "train.txt",
            "test_list": "test.txt",
            "label_map": "names.txt",
            "multiple_labels": True,
        },
        several_labels=True,
    ),
    "csv": Form(
        "my.csv",
        "my.csv",
        row=lambda video, label, subset: f"{video}.mp4,{name_of(label)},{subset}",
        head="path,label,subset\n",
        overrides={"class_names": CLASSES},
    ),
}
ONE_LABEL = [
    name for name, form in FORMS.items() if not (form.several_labels or form.first_is_kept)
]
SEVERAL = [name for name, form in FORMS.items() if form.several_labels]


def subset_group(subset, video):
    """Return a group of UCF-101's own for each video; the two subsets share none."""
    return f"{int(video[1:]) + (50 if subset == 'test' else 0):02d}"


def rows(form):
    train = [form.row(f"t{n}", n % 2, "train") for n in range(40)]
    return train, [form.row(f"v{n}", n % 2, "test") for n in range(4)]


@pytest.fixture
def manifest(build, write, touch, tmp_path):
    """`manifest(name, train, test)`: what the data set finds in these rows, its files made."""

    def manifest(name, train, test, *, encode=str.encode, missing=()):
        form = FORMS[name]
        files = [form.file(f"t{n}", "train") for n in range(40)]
        files += [form.file(f"v{n}", "test" if name != "kinetics400" else "val") for n in range(4)]
        root = touch(tmp_path / "videos", [f for n, f in enumerate(files) if n not in missing])
        folder = write({path: encode(text) for path, text in form.write(train, test).items()})
        annotations = folder / form.train if name == "csv" else folder
        return build(name, root=root, annotations=annotations, **form.overrides).manifest()

    return manifest


def line_of(form, path, train, test, row, which=-1):
    """Return the line on which a row stands, by default its last."""
    lines = form.write(train, test)[path].splitlines()
    found = [number for number, line in enumerate(lines, 1) if line.rstrip(",") == row]
    return found[which]


def test_every_format_is_here(pytestconfig):
    folder = pytestconfig.rootpath / "conf" / "data"
    names = {
        path.stem
        for path in folder.glob("[a-z]*.yaml")
        if "videoclf.data.formats." in path.read_text()
    }
    # Kinetics' three are one class; these two have tests of the same faults of their own.
    assert names - {"kinetics600", "kinetics700", "folder", "hmdb51"} == FORMS.keys()


@pytest.mark.parametrize("name", FORMS)
def test_good_rows(manifest, name):
    counts = manifest(name, *rows(FORMS[name])).counts()
    assert counts["train"] + counts["val"] == 40
    assert counts["test"] == 4


@pytest.mark.parametrize("name", FORMS)
def test_a_row_twice(manifest, name, caplog):
    form = FORMS[name]
    train, test = rows(form)
    train.append(train[3])
    line = line_of(form, form.train, train, test, train[3])
    if form.first_is_kept:
        assert manifest(name, train, test).counts()["test"] == 4
        assert "1 rows left out, their video and times are listed before: " in caplog.text
        assert f"{form.train}:{line}" in caplog.text
        return
    first = line_of(form, form.train, train, test, train[3], which=0)
    message = rf"/{form.train}:{line}: \S+ is listed already at \S+{form.train}:{first}; delete"
    with pytest.raises(ConfigError, match=message):
        manifest(name, train, test)


# In UCF-101 the class is part of the path: another class is another file.
@pytest.mark.parametrize("name", [name for name in ONE_LABEL if name != "ucf101"])
def test_another_label_is_refused_where_a_video_has_one(manifest, name):
    form = FORMS[name]
    train, test = rows(form)
    train.append(form.row("t3", 0, "train"))
    line = line_of(form, form.train, train, test, train[-1])
    with pytest.raises(ConfigError, match=rf"/{form.train}:{line}: \S+ has the label '\w+', but"):
        manifest(name, train, test)


@pytest.mark.parametrize("name", SEVERAL)
def test_another_label_is_added_where_a_video_has_several(manifest, name):
    form = FORMS[name]
    train, test = rows(form)
    train.append(form.row("t3", 0, "train"))
    found = manifest(name, train, test)
    assert len(found) == 44
    assert found.record(3).labels == (0, 1)


# Moments in Time has a folder for each list: the same name is another file.
@pytest.mark.parametrize("name", [name for name in FORMS if name != "moments_in_time"])
def test_train_and_test_overlap(manifest, name):
    form = FORMS[name]
    train, test = rows(form)
    if name == "ucf101":
        test.append(train[3].rpartition(" ")[0])
    else:
        test.append(form.row("t3", 1, "test"))
    line = line_of(form, form.test, train, test, test[-1])
    with pytest.raises(ConfigError, match=rf"/{form.test}:{line}: \S+ is in test, but at \S+ in"):
        manifest(name, train, test)


@pytest.mark.parametrize("name", FORMS)
def test_labels_out_of_range(manifest, name):
    form = FORMS[name]
    train, test = rows(form)
    test.append(form.row("v4", 2, "test"))
    line = line_of(form, form.test, train, test, test[-1])
    with pytest.raises(ConfigError, match=rf"/{form.test}:{line}: .*class") as caught:
        manifest(name, train, test)
    assert caught.value.exit_code == 2
    assert re.search(r"(2|class2|c002|'class2')\D", str(caught.value).rpartition("/")[2])


@pytest.mark.parametrize("name", FORMS)
def test_what_is_not_utf8(manifest, name):
    form = FORMS[name]
    train, test = rows(form)
    test.append(test[0].replace("v0", "vÿ"))
    line = line_of(form, form.test, train, test, test[-1])
    if form.json_list:  # which write it as six plain letters
        test[-1] = test[-1].replace(json.dumps("vÿ"), '"vÿ"')
    with pytest.raises(ConfigError, match=rf"/{form.test}:{line}: not UTF-8 at .*; save the file"):
        manifest(name, train, test, encode=lambda text: text.encode("latin-1"))


@pytest.mark.parametrize("name", FORMS)
def test_missing_files_are_counted_and_listed(manifest, name):
    form = FORMS[name]
    with pytest.raises(DataError, match=r"3 of 44 videos are missing below ") as caught:
        manifest(name, *rows(form), missing=(1, 2, 41))
    assert caught.value.exit_code == 3
    for video in ("t1", "t2", "v1"):
        assert re.search(rf"[ /_]{video}[._,;]", str(caught.value))
