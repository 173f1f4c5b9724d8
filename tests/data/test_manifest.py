import multiprocessing
import os
import pickle
import time
from pathlib import Path

import pyarrow as pa
import pytest

from videoclf.data.manifest import SCHEMA, Manifest
from videoclf.errors import ConfigError, DataError, StorageError
from videoclf.types import Record

COLUMNS = {
    "class_names": ["jump", "run"],
    "paths": ["jump/a.mp4", "run/b.mp4", "run/ü.mp4"],
    "labels": [(0,), (1,), (1, 0)],
    "subsets": ["train", "val", "test"],
    "starts": [None, 0.0, 1.5],
    "ends": [None, 2.0, None],
    "groups": [None, "g1", "g2"],
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VIDEOCLF_CACHE", str(tmp_path / "cache"))


def make(**changed):
    return Manifest.from_columns(**COLUMNS | changed)


def test_records_and_rows():
    manifest = make()
    assert len(manifest) == 3
    assert manifest.record(0) == Record("jump/a.mp4", (0,), "train")
    assert manifest.record(2) == Record("run/ü.mp4", (1, 0), "test", 1.5, None, "g2")
    assert manifest.rows("val").type == pa.int64()
    assert manifest.rows("val").to_pylist() == [1]
    assert manifest.counts() == {"train": 1, "val": 1, "test": 1}
    assert manifest.multi_label
    assert not make(labels=[(0,), (1,), (1,)]).multi_label
    assert "1 train, 1 val, 1 test, 2 classes" in repr(manifest)


def test_arrow_columns_give_the_same_manifest():
    arrow = {
        "paths": pa.array(COLUMNS["paths"], pa.large_string()),
        "labels": pa.array(COLUMNS["labels"], pa.list_(pa.int64())),
        "subsets": pa.chunked_array([["train"], ["val", "test"]]),
        "starts": pa.array(COLUMNS["starts"], pa.float32()),
    }
    assert make(**arrow).sha256 == make().sha256


def test_the_hash_is_this_one_for_ever():
    # A reference: checkpoints and results of earlier runs name their data by it.
    assert make().sha256 == "15be086a28a5c9e9c51f8b6663290b2c53be3345935506e63ad834013d0a3f51"


@pytest.mark.parametrize(
    "changed",
    [
        {"class_names": ["jump", "Run"]},
        {"paths": ["jump/a.mp4", "run/b.mp4", "run/u.mp4"]},
        {"paths": ["jump/a.mp", "4run/b.mp4", "run/ü.mp4"]},
        {"labels": [(0,), (1, 1), (0,)]},
        {"subsets": ["train", "train", "test"]},
        {"starts": [0.0, 0.0, 1.5]},
        {"ends": [None, 2.5, None]},
        {"groups": ["", "g1", "g2"]},
    ],
)
def test_the_hash_knows_every_value(changed):
    assert make(**changed).sha256 != make().sha256


def test_the_hash_does_not_know_the_layout():
    manifest = make()
    rows = manifest.table.to_pylist()
    many = pa.concat_tables([pa.Table.from_pylist([row], SCHEMA) for row in rows])
    padded = pa.concat_tables([manifest.table, manifest.table]).combine_chunks().slice(3, 3)
    offset = pa.table([padded[name].combine_chunks() for name in SCHEMA.names], SCHEMA)
    hidden = pa.Array.from_buffers(  # a null over a value that is no zero
        pa.float64(), 3, [pa.py_buffer(b"\x06"), pa.array([9.0, -0.0, 1.5]).buffers()[1]]
    )
    start = SCHEMA.get_field_index("start")
    for table in (many, padded, offset, manifest.table.set_column(start, SCHEMA[start], hidden)):
        assert Manifest(table, manifest.class_names).sha256 == manifest.sha256


def test_an_empty_manifest():
    manifest = Manifest.from_columns(class_names=["a"], paths=[], labels=[], subsets=[])
    assert len(manifest) == 0
    assert Manifest.open(manifest.save()).sha256 == manifest.sha256


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"class_names": ["a", "a"]}, r"class names repeat: a; each must stand once"),
        ({"labels": [(0,), (2,), (1,)]}, r"a label is 2, but the 2 classes have ids 0 to 1"),
        ({"labels": [(0,), (-1,), (1,)]}, r"a label is -1, but the 2 classes"),
        ({"labels": [(0,), None, (1,)]}, r"a row has no labels"),
        ({"paths": ["a", None, "b"]}, r"row 1 has no path"),
        ({"subsets": ["train", "dev", "test"]}, r"row 1 has a subset that is none of train, val"),
        ({"starts": [None, 2.0, 1.5]}, r"row 1 has an end that is not after its start: .*b\.mp4"),
        ({"starts": [None, -1.0, 1.5]}, r"row 1 has a negative start"),
        ({"starts": [None, float("nan"), 1.5]}, r"row 1 has a start that is no number"),
        ({"ends": [None, float("inf"), None]}, r"row 1 has an end that is no number"),
    ],
)
def test_wrong_rows_are_refused(changed, message):
    with pytest.raises(ConfigError, match=message):
        make(**changed)


def test_saving_and_opening():
    manifest = make()
    path = manifest.save()
    written = path.stat().st_mtime_ns
    assert manifest.save() == path
    assert path.stat().st_mtime_ns == written
    opened = Manifest.open(path)
    assert opened.class_names == manifest.class_names
    assert opened.table.equals(manifest.table)
    assert opened.sha256 == manifest.sha256


def test_a_damaged_file_is_written_anew():
    manifest = make()
    path = manifest.save()
    good = path.read_bytes()
    for damaged in (good.replace(b"run/b.mp4", b"run/c.mp4"), good[:-40], b""):
        assert damaged != good
        path.write_bytes(damaged)
        assert make().save().read_bytes() == good


def test_a_file_that_is_no_manifest_is_named(tmp_path):
    with pytest.raises(
        DataError, match=r"cannot open the manifest .*gone\.arrow: .*; start the run"
    ):
        Manifest.open(tmp_path / "gone.arrow")
    (tmp_path / "text.arrow").write_text("no arrow")
    with pytest.raises(DataError, match=r"cannot open the manifest .*text\.arrow"):
        Manifest.open(tmp_path / "text.arrow")
    with pa.ipc.new_file(str(tmp_path / "other.arrow"), pa.schema([("x", pa.int8())])):
        pass
    with pytest.raises(DataError, match=r"other\.arrow: .*columns are x"):
        Manifest.open(tmp_path / "other.arrow")


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("VIDEOCLF_CACHE", str(tmp_path / "file"))
    with pytest.raises(
        StorageError, match=r"cannot write the manifest .*\(\d+ bytes\): .*VIDEOCLF"
    ):
        make().save()


def test_pickling_takes_the_path_along_and_not_the_rows():
    many = Manifest.from_columns(
        class_names=["a"],
        paths=[f"{i:07d}.mp4" for i in range(10_000)],
        labels=[(0,)] * 10_000,
        subsets=["train"] * 10_000,
    )
    assert pickle.loads(pickle.dumps(many)).record(7) == many.record(7)
    many.save()
    for manifest in (many, Manifest.open(many.file)):
        pickled = pickle.dumps(manifest)
        assert len(pickled) < 1000
        again = pickle.loads(pickled)
        assert again.sha256 == many.sha256
        assert again.record(9_999) == many.record(9_999)


def _open_and_measure(path, queue):
    def megabytes():
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    before, begin = megabytes(), time.process_time()
    manifest = Manifest.open(path)
    rows = manifest.rows("train")
    record = manifest.record(rows[-1].as_py())
    queue.put((time.process_time() - begin, megabytes() - before, record.path))


def test_a_million_rows_open_in_little_time_and_memory():
    count = 1_000_000
    numbers = pa.array(range(count)).cast(pa.string())
    manifest = Manifest.from_columns(
        class_names=["a"],
        paths=pa.compute.binary_join_element_wise("some_class/video", numbers, "_"),
        labels=pa.ListArray.from_arrays(pa.array(range(count + 1), pa.int32()), [0] * count),
        subsets=pa.repeat("train", count),
        hashes=pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(32), count, [None, pa.py_buffer(bytes(32 * count))]
        ),
    )
    assert manifest.table["sha256"].nbytes == 32 * count
    path = manifest.save()
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_open_and_measure, args=(path, queue))
    process.start()
    seconds, megabytes, last = queue.get(timeout=60)
    process.join()
    assert last == "some_class/video_999999"
    assert seconds < 1.5
    assert megabytes < 150


def test_a_record_takes_microseconds():
    manifest = make()
    begin = time.process_time()
    for _ in range(1000):
        manifest.record(2)
    assert time.process_time() - begin < 0.2


HASHES = [bytes(range(32)), None, bytes(32)]


def test_hashes_are_a_column_only_where_there_are_any():
    assert make(hashes=[None] * 3).sha256 == make().sha256
    manifest = make(hashes=HASHES)
    assert manifest.table.column_names[-1] == "sha256"
    assert manifest.sha256 == "8711f2a2babb0905f6011490080ade5c22f16b863625623390632b4a2023fd7c"
    assert make(hashes=[*HASHES[:2], bytes(31) + b"\1"]).sha256 != manifest.sha256
    assert make(hashes=[None, HASHES[0], bytes(32)]).sha256 != manifest.sha256
    twice = pa.concat_tables([manifest.table, manifest.table]).combine_chunks().slice(3)
    assert Manifest(twice, manifest.class_names).sha256 == manifest.sha256
    opened = Manifest.open(manifest.save())
    assert opened.table.equals(manifest.table)
    assert opened.record(0).sha256 == bytes(range(32)).hex()
    assert opened.record(1).sha256 is None


def test_a_run_on_several_machines_has_one_of_its_own(tmp_path):
    manifest = make()
    path = manifest.save(tmp_path / "run")
    assert path == tmp_path / "run" / "manifest.arrow"
    assert Manifest.open(path).sha256 == manifest.sha256
    assert not (tmp_path / "cache").exists()
    path.write_bytes(path.read_bytes()[:-9])  # cut short: it is written anew
    assert Manifest.open(manifest.save(tmp_path / "run")).sha256 == manifest.sha256
