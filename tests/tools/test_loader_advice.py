"""What to change follows from what was measured."""

from dataclasses import replace

import pytest

from videoclf.tools.loader_advice import advise
from videoclf.tools.loader_timing import LoaderTimes, Stages


def stages(*, clips=10, wait=0.0, **milliseconds):
    cpu = {stage: clips * value / 1000 for stage, value in milliseconds.items()}
    return Stages(clips, sum(cpu.values()) + clips * wait / 1000, cpu)


GOOD = LoaderTimes(
    first=stages(open=1, decode=2, convert=2, crop=2, gather=1, collate=1),
    again=stages(open=1, decode=2, convert=2, crop=2, gather=1, collate=1),
    clips_per_second=100.0,
    frames_per_second=1600.0,
    first_batch_seconds=1.0,
    num_workers=4,
    num_cores=4,
    clips_per_video=1,
    batch_size=16,
    resize_pixels=128,
    crop_pixels=112,
    short_side_pixels=128.0,
    gop_frames=12.0,
    unreadable=0,
)


def test_shares_sum_to_one():
    shares = stages(open=10, decode=30, crop=20, wait=40).shares()
    assert sum(shares.values()) == pytest.approx(1)
    assert (shares["decode"], shares["wait"]) == (pytest.approx(0.3), pytest.approx(0.4))
    assert stages(decode=30).cpu_ms_per_clip == 30


def test_a_good_loader_is_left_alone():
    assert advise(GOOD) == ["nothing stands out; the loader does well"]


def test_idle_cores():
    (advice,) = advise(replace(GOOD, num_workers=1))
    assert advice == (
        "data.num_workers=4: 4 cores are here, and data.num_workers is 1; "
        "each worker makes about 111 clips/s"
    )
    assert advise(replace(GOOD, num_workers=12)) == [
        "data.num_workers=4: 12 workers share 4 cores, and nothing waits for the disk"
    ]


def test_files_to_prepare_and_clips_to_share():
    slow = stages(open=1, decode=8, convert=1)
    times = replace(GOOD, first=slow, again=slow, short_side_pixels=720.0, gop_frames=250.0)
    prepare, share = advise(times)
    assert prepare == (
        "videoclf prepare --short-side 128: the files' short side is 720 pixels and 128 are used "
        "and keyframes are 250 frames apart; reading takes 100% of the time"
    )
    assert share == (
        "data.clips_per_video=4 data.batch_size=4: opening and decoding take 90% of the time, and "
        "several clips of a video share them"
    )
    assert len(advise(replace(times, clips_per_video=4, gop_frames=None))) == 1


def test_crops_and_waiting():
    flow = stages(decode=2, flow=6)
    assert "videoclf flow: optical flow takes 75%" in advise(replace(GOOD, again=flow))[0]
    crops = stages(decode=2, crop=6, wait=8)
    crop, wait = advise(replace(GOOD, first=crops, again=crops))
    assert crop == (
        "transform.resize_pixels=112: crops take 38% of the time, and are cut from frames of 128 "
        "pixels for 112"
    )
    assert wait == (
        "50% of the time goes by waiting: copy the videos to a local disk, raise data.num_workers, "
        "or see what else runs on this machine"
    )


def test_the_first_epoch_and_what_is_unreadable():
    advice = advise(replace(GOOD, first=stages(open=20, decode=2), unreadable=3))
    assert advice[0] == "3 videos could not be read: videoclf check lists all of them"
    assert advice[1].startswith("the first epoch costs 22 ms of CPU a clip and later ones 9")
