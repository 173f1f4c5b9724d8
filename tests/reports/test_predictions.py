import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from videoclf.errors import DataError
from videoclf.reports.predictions import read_predictions, write_predictions


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("num", [0, 1, 7])
@pytest.mark.parametrize("missing", [(), (0,), range(7)])
def test_round_trip(tmp_path, make_predictions, multi_label, num, missing):
    predictions = make_predictions(num, multi_label=multi_label, missing=missing)
    views = np.random.default_rng(0).random((num, 3, 5)).astype(np.float32)
    write_predictions(tmp_path / "p.parquet", replace(predictions, view_probabilities=views))
    read = read_predictions(tmp_path / "p.parquet")
    seen = predictions.available
    assert list(read.paths) == list(predictions.paths)
    assert list(read.labels) == list(predictions.labels)
    assert (read.available == seen).all()
    assert np.array_equal(read.probabilities[seen], predictions.probabilities[seen])
    assert np.isnan(read.probabilities[~seen]).all()
    assert (read.class_names, read.protocol) == (predictions.class_names, predictions.protocol)
    assert (read.manifest_sha256, read.multi_label) == ("ab" * 32, multi_label)
    if seen.any():
        assert np.array_equal(read.view_probabilities[seen], views[seen])


def test_columns_are_as_documented(tmp_path, make_predictions):
    write_predictions(tmp_path / "p.parquet", make_predictions(4, missing=(2,)))
    table = pq.read_table(tmp_path / "p.parquet")
    assert table.column_names == ["path", "start", "end", "label", "probabilities"]
    assert table.schema.field("probabilities").type == pa.list_(pa.float32(), 5)
    assert table["probabilities"].is_null().to_pylist() == [False, False, True, False]
    assert table["label"].to_pylist() == [0, 1, 2, 3]
    assert set(table.schema.metadata) == {b"class_names", b"protocol", b"manifest_sha256"}
    assert json.loads(table.schema.metadata[b"protocol"])["num_clips"] == 10


def test_unlabelled_videos_have_a_null_label(tmp_path, make_predictions):
    predictions = replace(make_predictions(2), labels=[(), (1,)])
    write_predictions(tmp_path / "p.parquet", predictions)
    assert pq.read_table(tmp_path / "p.parquet")["label"].to_pylist() == [None, 1]
    assert read_predictions(tmp_path / "p.parquet").labels == [(), (1,)]


def test_shapes_are_checked(make_predictions):
    good = make_predictions(4)
    with pytest.raises(ValueError, match=r"probabilities are \(4, 5\), expected \(4, 2\)"):
        replace(good, class_names=("a", "b"))
    with pytest.raises(ValueError, match="columns differ in length"):
        replace(good, starts=[None])
    with pytest.raises(ValueError, match="several labels, but multi_label is False"):
        replace(good, labels=[(0, 1)] * 4)


def test_another_table_is_refused(tmp_path):
    pq.write_table(pa.table({"path": ["a"]}), tmp_path / "other.parquet")
    (tmp_path / "text.parquet").write_text("no table")
    for name in ("other", "text", "absent"):
        with pytest.raises(DataError, match=f"{name}.parquet.*evaluate the run again"):
            read_predictions(tmp_path / f"{name}.parquet")
