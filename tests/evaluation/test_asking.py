"""A cascade of checkpoints from the files that its members leave; every number by numpy."""

from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.test_stored_ensemble import made, shuffled
from videoclf.data.manifest import Manifest
from videoclf.errors import WorkerError
from videoclf.evaluation.alignment import records
from videoclf.evaluation.asked import narrowed, read_asked, write_asked
from videoclf.evaluation.asking import read_cascade
from videoclf.evaluation.ensemble import Ensemble
from videoclf.evaluation.fuse import Member, fuse
from videoclf.reports.predictions import write_predictions

WHOLE = made(1), made(2, strength=2.5), made(3, strength=2.5)


def cascade(threshold=0.7, **settings):
    return Ensemble(
        fusion="cascade",
        threshold=threshold,
        average="probabilities",
        fit_subset="val",
        regularization=0.0,
        **{"weights": (1.0, 2.0, 1.0), **settings},
    )


def store(folder, predictions):
    folder.mkdir()
    write_predictions(folder / "predictions.parquet", predictions)
    return folder


def stored(folder, ensemble, members=WHOLE):
    """Store what each member is asked, rows and classes in another order; return the folders."""
    folders, rows = [], np.arange(len(members[0]))
    for number, member in enumerate(members, start=1):
        asked = member.taken(rows)
        place = folder / f"{number}_test"
        if not len(rows):
            place.mkdir()
        else:
            store(place, shuffled(asked, seed=number) if number > 1 else asked)
        folders.append(place)
        wanted = set(read_cascade(ensemble, folders, [])[1])
        rows = np.array([i for i, each in enumerate(records(member)) if each in wanted], int)
    return folders


@pytest.mark.parametrize("unsure_by", ["confidence", "margin"])
def test_what_is_asked_and_said_is_as_of_whole_predictions(tmp_path, unsure_by):
    ensemble = cascade(unsure_by=unsure_by)
    folders = stored(tmp_path, ensemble)
    members, _ = read_cascade(ensemble, folders, [])
    found = fuse(ensemble, members)
    whole = fuse(ensemble, [Member(str(i), each) for i, each in enumerate(WHOLE)])
    np.testing.assert_array_equal(found.predictions.probabilities, whole.predictions.probabilities)
    shares = [row["share"] for row in found.findings["members"]]
    assert shares == [row["share"] for row in whole.findings["members"]]
    assert 1 == shares[0] > shares[1] > shares[2] > 0
    assert found.predictions.available.all()
    evaluated = [int(np.sum(member.predictions.available)) for member in members]
    assert evaluated == [round(60 * share) for share in shares]
    scores = WHOLE[0].probabilities
    highest = np.sort(scores, 1)[:, ::-1]
    certainty = highest[:, 0] - (highest[:, 1] if unsure_by == "margin" else 0)
    assert evaluated[1] == (certainty < 0.7).sum()
    assert ["top1" in row for row in found.findings["members"]] == [True, False, False]


def test_nobody_is_asked_where_the_first_is_sure(tmp_path):
    ensemble = cascade(0.0)
    members, unsure = read_cascade(ensemble, stored(tmp_path, ensemble), [])
    assert unsure == []
    found = fuse(ensemble, members).predictions
    np.testing.assert_array_equal(found.probabilities, WHOLE[0].probabilities)


def test_a_lost_video_is_no_cascade(tmp_path):
    ensemble = cascade(weights=None)
    folders = stored(tmp_path, ensemble, WHOLE[:2])
    asked = read_cascade(ensemble, folders[:1], [])[1]
    lost = np.array([i for i, each in enumerate(records(WHOLE[1])) if each in set(asked)][1:])
    write_predictions(folders[1] / "predictions.parquet", WHOLE[1].taken(lost))
    with pytest.raises(
        WorkerError, match=rf"is of {len(lost)} videos, and not of the {len(asked)}"
    ):
        read_cascade(ensemble, folders, [])


def test_a_video_is_missing_only_where_an_asked_member_lacks_it(tmp_path):
    ensemble = cascade(weights=None)
    unsure = WHOLE[0].probabilities.max(1) < 0.7
    lacking = np.isin(np.arange(60), [np.flatnonzero(unsure)[0], np.flatnonzero(~unsure)[0]])
    second = replace(WHOLE[1], available=~lacking)
    expected = ~(lacking & unsure)
    whole = fuse(ensemble, [Member("a", WHOLE[0]), Member("b", second)]).predictions
    np.testing.assert_array_equal(whole.available, expected)
    folders = stored(tmp_path, ensemble, (WHOLE[0], second))
    found = fuse(ensemble, read_cascade(ensemble, folders, [])[0]).predictions
    np.testing.assert_array_equal(found.probabilities, whole.probabilities)
    np.testing.assert_array_equal(found.available, expected)


def test_the_list_that_is_handed_on(tmp_path):
    manifest = Manifest.from_columns(
        class_names=("a", "b"),
        paths=["x.mp4", "x.mp4", "y.mp4", "y.mp4"],
        labels=[[0], [1], [1], [0]],
        subsets=["test", "test", "test", "val"],
        starts=[0.1, 1 / 3, None, None],
        ends=[1 / 3, 2.5, None, None],
    )
    chosen = [("y.mp4", None, None), ("x.mp4", 1 / 3, 2.5)]
    write_asked(tmp_path / "asked.json", chosen)
    assert read_asked(tmp_path / "asked.json") == chosen
    kept = narrowed(manifest, "test", chosen)
    assert kept.counts() == {"train": 0, "val": 0, "test": 2}
    assert [kept.record(row).path for row in range(2)] == ["x.mp4", "y.mp4"]
    assert [kept.record(row).labels for row in range(2)] == [(1,), (1,)]
    assert kept.sha256 != manifest.sha256
    assert len(narrowed(manifest, "test", [])) == 0
