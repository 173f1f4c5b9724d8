import pytest

from videoclf.errors import DataError

CLASSES = ("jump", "run")


def flat(count=20):
    return [f"{name}/{i:02d}.mp4" for name in CLASSES for i in range(count)]


def levels(**counts):
    return [f"{s}/{c}/{s}{i}.mp4" for s, n in counts.items() for c in CLASSES for i in range(n)]


def test_without_subset_folders_val_and_test_are_held_out(build, touch, tmp_path):
    manifest = build("folder", root=touch(tmp_path, flat())).manifest()
    assert manifest.class_names == CLASSES
    assert manifest.counts() == {"train": 28, "val": 6, "test": 6}
    assert manifest.record(0).path == "jump/00.mp4"
    assert manifest.record(39).labels == (1,)


def test_subset_folders_are_taken_as_they_are(build, touch, tmp_path):
    root = touch(tmp_path, levels(train=4, val=2, test=3))
    manifest = build("folder", root=root).manifest()
    assert manifest.counts() == {"train": 8, "val": 4, "test": 6}
    assert manifest.record(8).path == "val/jump/val0.mp4"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"train": 10, "test": 3}, {"train": 16, "val": 4, "test": 6}),
        ({"train": 10, "val": 3}, {"train": 20, "val": 6, "test": 0}),
        ({"test": 3}, {"train": 0, "val": 0, "test": 6}),
    ],
)
def test_only_a_missing_val_is_held_out(build, touch, tmp_path, given, expected):
    root = touch(tmp_path, levels(**given))
    assert build("folder", root=root).manifest().counts() == expected


def test_hidden_nested_and_other_files(build, touch, tmp_path):
    extra = ["jump/deep/er/A.MOV", "jump/.x.mp4", ".git/a.mp4", "run/notes.txt", "readme.md"]
    manifest = build("folder", root=touch(tmp_path, flat() + extra)).manifest()
    assert len(manifest) == 41
    assert "jump/deep/er/A.MOV" in manifest.table["path"].to_pylist()


def test_a_class_may_be_called_train(build, touch, tmp_path):
    root = touch(tmp_path, [f"{c}/{i}.mp4" for c in ("bus", "train") for i in range(10)])
    assert build("folder", root=root).manifest().class_names == ("bus", "train")


def test_frame_folders(build, touch, tmp_path):
    frames = [f"{c}/v{i}/{f:05d}.jpg" for c in CLASSES for i in range(8) for f in (1, 2)]
    manifest = build("folder", root=touch(tmp_path, frames), reader="frames").manifest()
    assert len(manifest) == 16
    assert manifest.record(0).path == "jump/v0"


def test_links_in_circles_end(build, touch, tmp_path):
    root = touch(tmp_path, flat())
    (root / "jump" / "again").symlink_to(root)
    assert len(build("folder", root=root).manifest()) == 40


def test_links_leading_out_are_refused(build, touch, tmp_path):
    touch(tmp_path / "elsewhere", ["a.mp4"])
    root = touch(tmp_path / "root", flat())
    (root / "jump" / "link.mp4").symlink_to(tmp_path / "elsewhere" / "a.mp4")
    with pytest.raises(DataError, match=r"1 of 41 videos are links that lead out of .*: jump/link"):
        build("folder", root=root).manifest()


def test_faults_are_data_errors(build, touch, tmp_path):
    with pytest.raises(DataError, match=r"data\.root is not set"):
        build("folder").manifest()
    with pytest.raises(DataError, match=r"no-such does not exist"):
        build("folder", root=tmp_path / "no-such").manifest()
    with pytest.raises(DataError, match=r"has no class folders; put the videos of each class"):
        build("folder", root=tmp_path).manifest()
    touch(tmp_path, flat())
    (tmp_path / "swim").mkdir()
    with pytest.raises(DataError, match=r"1 of 3 class folders .* hold no video: swim; add some"):
        build("folder", root=tmp_path).manifest()


def test_a_misspelt_subset_folder_is_not_passed_over(build, touch, tmp_path):
    root = touch(tmp_path, [*levels(train=4), "valid/jump/a.mp4"])
    with pytest.raises(DataError, match=r"rename valid to 'val'"):
        build("folder", root=root).manifest()


def test_a_class_of_test_alone_cannot_be_learnt(build, touch, tmp_path):
    root = touch(tmp_path, [*levels(train=4, test=2), "test/swim/a.mp4"])
    with pytest.raises(DataError, match=r"below .*train hold no video: swim"):
        build("folder", root=root).manifest()


def test_fractions_are_checked(build, tmp_path):
    with pytest.raises(ValueError, match=r"data\.val_fraction=2 must"):
        build("folder", root=tmp_path, val_fraction=2)


def test_real_videos(build, samples):
    root = samples("ucf101_three_classes") / "videos"
    manifest = build("folder", root=root).manifest()
    assert manifest.class_names == ("BabyCrawling", "Punch", "PushUps")
    assert manifest.counts() == {"train": 202, "val": 44, "test": 44}
