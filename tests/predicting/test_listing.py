import pytest

from tests.predicting.films import write_grey
from videoclf.data.manifest import Manifest
from videoclf.errors import ConfigError, DataError
from videoclf.predicting.listing import list_videos, single_labels

NAMES = ("dark", "light")


def listed(*words, root=None):
    return list_videos([str(w) for w in words], class_names=NAMES, root=root, reader="pyav")


def paths(found):
    return found.manifest.table["path"].to_pylist()


@pytest.fixture
def folder(tmp_path):
    for name in ("a.mp4", "deep/b.mp4"):
        write_grey(tmp_path / "videos" / name, [40] * 2)
    (tmp_path / "videos" / "notes.txt").write_text("no video", encoding="utf-8")
    return tmp_path / "videos"


def test_one_folder_gives_paths_below_it(folder):
    found = listed(folder)
    assert (paths(found), found.folder) == (["a.mp4", "deep/b.mp4"], folder)


def test_files_and_folders_keep_the_names_they_were_given(folder):
    found = listed(folder / "a.mp4", folder / "deep", "none.mp4")
    assert paths(found) == [f"{folder}/a.mp4", f"{folder}/deep/b.mp4", "none.mp4"]


def test_a_table_needs_no_labels_and_keeps_those_it_knows(folder):
    table = folder / "list.csv"
    table.write_text("path,label,start,end\na.mp4,light,0,0.05\ndeep/b.mp4,blue,,\n", "utf-8")
    found = listed(table)
    assert found.folder == folder
    assert single_labels(found.manifest) == [(1,), ()]
    assert found.manifest.table["end"].to_pylist() == [0.05, None]
    table.write_text("path\na.mp4\n", "utf-8")
    assert paths(listed(table)) == ["a.mp4"]


def test_a_manifest_is_brought_into_the_network_s_classes(folder):
    manifest = Manifest.from_columns(
        class_names=["light", "blue"],
        paths=["a.mp4", "c.mp4"],
        labels=[[0], [1]],
        subsets=["val"] * 2,
    )
    place = manifest.save()
    found = listed(place, root=folder)
    assert found.manifest.class_names == NAMES
    assert single_labels(found.manifest) == [(1,), ()]
    with pytest.raises(DataError, match="does not say where its videos lie; give --root"):
        listed(place)


def test_mistakes(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no videos"):
        listed(tmp_path / "empty")
    with pytest.raises(ConfigError, match="is named beside 1 more; name one table alone"):
        listed("x.csv", "a.mp4")
    with pytest.raises(ConfigError, match="none.csv does not exist"):
        listed("none.csv")
    with pytest.raises(ConfigError, match="is for tables and manifests"):
        listed(folder, root=folder)
    table = folder / "list.csv"
    table.write_text("file\na.mp4\n", "utf-8")
    with pytest.raises(ConfigError, match="no column 'path' among file"):
        listed(table)
    table.write_text("path\n../a.mp4\n", "utf-8")
    with pytest.raises(ConfigError, match="is not inside the data root"):
        listed(table)
