import json
import re
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch

from tests.conftest import PROJECT, TINY, TINY_MODEL
from videoclf import cli
from videoclf.build import build
from videoclf.cli.composing import compose_train
from videoclf.config import plain
from videoclf.data.from_config import build_datamodule
from videoclf.tools.features import SCHEMA, Extraction
from videoclf.tools.journal import Journal

SETTINGS = (*TINY[:-2], *TINY_MODEL, "views.num_clips=2", "data.num_workers=0")


def features(*words):
    return cli.main(["features", *map(str, words)])


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("features") / "f.parquet"
    assert features(*SETTINGS, "-o", path) == 0
    assert list(path.parent.iterdir()) == [path]
    return pq.read_table(path)


def test_a_row_a_view_of_every_video(table):
    assert table.num_rows == 2 * (32 + 8 + 16)
    assert table["clip"].to_pylist()[:4] == [0, 1, 0, 1]
    assert set(table["crop"].to_pylist()) == {0}
    assert set(table["subset"].to_pylist()) == {"train", "val", "test"}
    values = np.stack(table["features"].to_numpy())
    assert values.shape == (112, 8)
    assert values.dtype == np.float32
    assert np.isfinite(values).all()
    assert values.std(axis=0).min() > 0
    metadata = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    assert len(json.loads(metadata["class_names"])) == 8
    assert json.loads(metadata["protocol"])["views"]["num_clips"] == 2
    assert json.loads(metadata["model"])["widths"] == [4, 8]


def test_they_are_what_the_class_head_sees(table, tmp_path):
    """A row again, by hand."""
    extraction = extraction_of(tmp_path)
    batch = next(iter(extraction.datamodule.rows_dataloader(np.array([3]))))
    inputs = extraction.datamodule.transform.on_device(batch, seed=0, train=False).inputs
    with torch.no_grad():
        expected = extraction.model.eval().features(**inputs)
    record = extraction.datamodule.manifest.record(3)
    own = table.filter(pc.equal(table["path"], record.path))
    assert own["label"].to_pylist() == [record.labels[0]] * 2
    np.testing.assert_allclose(np.stack(own["features"].to_numpy()), expected, atol=1e-5)


def extraction_of(folder, precision="float32"):
    config = compose_train(SETTINGS)
    manifest = build(plain(config.data), name="data").manifest()
    manifest.save()
    config.data.num_classes = len(manifest.class_names)
    settings = plain(config)
    torch.manual_seed(0)
    return Extraction(
        model=build(settings["model"], name="model"),
        datamodule=build_datamodule(settings, manifest=manifest, folder=data_folder(config)),
        rows=np.arange(len(manifest)),
        journal=Journal(folder / "x.journal", schema=SCHEMA, settings={}),
        precision=precision,
    )


def data_folder(config):
    return build(plain(config.data), name="data").folder()


class Interrupted(Exception):
    pass


def test_a_stopped_one_goes_on(tmp_path, table):
    def stop(done, total, problems):
        if done >= 24:
            raise Interrupted

    extraction = extraction_of(tmp_path)
    with pytest.raises(Interrupted), extraction.journal:
        extraction.run(stop)
    extraction = extraction_of(tmp_path)
    seen = []
    with extraction.journal:
        extraction.run(lambda done, total, problems: seen.append((done, total, problems)))
        assert extraction.write(tmp_path / "f.parquet", {}) == 112
    assert seen[0] == (24, 56, 0)
    assert seen[-1] == (56, 56, 0)
    again = pq.read_table(tmp_path / "f.parquet")
    for name in table.column_names[:-1]:
        assert again[name].to_pylist() == table[name].to_pylist(), name
    pair = [np.stack(t["features"].to_numpy()) for t in (again, table)]
    np.testing.assert_allclose(*pair, atol=1e-5)


def test_an_unreadable_video_is_named_and_has_nulls_where_it_is_allowed(tmp_path, capfd):
    extraction = extraction_of(tmp_path)
    source, manifest = extraction.datamodule.folder, extraction.datamodule.manifest
    extraction.journal.remove()
    folder = tmp_path / "videos"
    for row in (0, 1, 8, 9):
        path = Path(manifest.record(row).path)
        label = manifest.class_names[manifest.record(row).labels[0]]
        copy = folder / "train" / label / path.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((source / path).read_bytes() if row else b"no video")
    words = [folder, *SETTINGS[6:], "data=folder", "-o", tmp_path / "f.parquet"]
    words = [word for word in words if not str(word).startswith(("data.num_", "data.size"))]
    assert features(*words, "data.num_workers=0") == 3
    assert "1 unreadable video(s), 0 allowed: train/" in capfd.readouterr().err
    assert not (tmp_path / "f.parquet").exists()
    words += ["data.num_workers=0", "data.max_unreadable=1", "--precision", "float16"]
    assert features(*words, "--fresh") == 0
    table = pq.read_table(tmp_path / "f.parquet")
    assert table["features"].null_count == table["clip"].null_count == 1
    assert table.num_rows == 3 * 2 + 1
    assert str(table["features"].type).startswith("fixed_size_list<element: halffloat>[8]")


def test_a_checkpoint_s_features_and_the_probe_of_the_manual(trained_run, tmp_path, monkeypatch):
    checkpoint = trained_run / "checkpoints" / "best.ckpt"
    out = tmp_path / "features.parquet"
    assert features(f"checkpoint={checkpoint}", "data.num_workers=0", "-o", out) == 0
    metadata = pq.read_schema(out).metadata
    assert len(metadata[b"checkpoint_sha256"]) == 64
    manual = (PROJECT / "docs" / "tools.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", manual.partition("## features:")[2], re.DOTALL)
    monkeypatch.chdir(tmp_path)
    found = {}
    exec(compile(example, "tools.md", "exec"), found)
    assert 0 <= float(found["accuracy"]) <= 1
    assert found["x"].shape == (56, 8)


def test_wrong_words(tmp_path, capfd):
    out = tmp_path / "f.parquet"
    for words, message in (
        (["--subset", "training", *SETTINGS], "--subset=training is none of train, val, test, all"),
        (["--precision", "int8", *SETTINGS], "--precision=int8 is none of float32, float16"),
        (["modle=x"], "there is no config key 'modle'; did you mean 'model'?"),
    ):
        assert features(*words, "-o", out) == 2
        assert message in capfd.readouterr().err
    assert features("checkpoint=none.ckpt", "-o", out) == 5
    assert "no checkpoint at none.ckpt" in capfd.readouterr().err
