import pytest

from videoclf.errors import ConfigError

# Rows written to the documented format; no real list of it was at hand.
NAMES = ("clapping", "adult+female+singing")
LISTS = {
    "moments_categories.txt": "adult+female+singing,1\nclapping,0\n",
    "trainingSet.csv": "".join(f"{n}/t{i}.mp4,{n},3,1\n" for n in NAMES for i in range(50)),
    "validationSet.csv": "".join(f"{n}/v{i}.mp4,{n},3,0\n" for n in NAMES for i in range(5)),
}


def test_lists(build, write, touch, tmp_path):
    files = [f"training/{n}/t{i}.mp4" for n in NAMES for i in range(50)]
    files += [f"validation/{n}/v{i}.mp4" for n in NAMES for i in range(5)]
    root = touch(tmp_path / "videos", files)
    manifest = build("moments_in_time", root=root, annotations=write(LISTS)).manifest()
    assert manifest.class_names == NAMES
    assert manifest.counts() == {"train": 98, "val": 2, "test": 10}
    assert manifest.record(50).path == "training/adult+female+singing/t0.mp4"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "moments_categories.txt",
            "clapping\n",
            r"categories\.txt:1: 'clapping' is not '<class>,<",
        ),
        ("moments_categories.txt", "a,0\nb,0\n", r"categories\.txt:2: 'b,0' is not"),
        ("moments_categories.txt", "a,0\nb,2\n", r"categories\.txt: no class has the id 1; add"),
        (
            "trainingSet.csv",
            "a.mp4,claping,3,1\n",
            r"trainingSet\.csv:1: label 'claping' .*'clappi",
        ),
        ("validationSet.csv", "a.mp4,clapping\n", r"validationSet\.csv:1: 2 columns instead of 4"),
    ],
)
def test_faults_name_file_line_and_remedy(build, write, tmp_path, name, content, message):
    data = build("moments_in_time", root=tmp_path, annotations=write(LISTS | {name: content}))
    with pytest.raises(ConfigError, match=message):
        data.manifest()
