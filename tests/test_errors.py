import pickle

from videoclf import errors


def test_each_kind_has_its_exit_code():
    codes = {
        errors.ConfigError: 2,
        errors.DataError: 3,
        errors.UnreadableVideoError: 3,
        errors.NonFiniteLossError: 4,
        errors.CheckpointError: 5,
        errors.StorageError: 6,
        errors.WorkerError: 7,
    }
    assert {kind: kind.exit_code for kind in codes} == codes


def test_an_unreadable_video_keeps_its_path_and_reason_on_the_way_from_a_worker():
    error = pickle.loads(pickle.dumps(errors.UnreadableVideoError("a.mp4", "is empty")))
    assert (error.path, error.reason) == ("a.mp4", "is empty")
    assert str(error) == "cannot read video a.mp4: is empty"
