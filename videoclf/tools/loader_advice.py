"""What to change where loading is slow: pure reasoning on what was measured."""

from __future__ import annotations

from videoclf.tools.loader_timing import LoaderTimes


def advise(times: LoaderTimes) -> list[str]:
    """Return what to change, the greatest gain first; each with the figure it rests on."""
    shares = times.again.shares()
    reading = shares["open"] + shares["decode"] + shares["convert"]
    rules = [
        _unreadable(times),
        _workers(times, shares["wait"]),
        _prepare(times, reading),
        _several_clips(times, shares["open"] + shares["decode"]),
        _flow(shares.get("flow", 0.0)),
        _crops(times, shares["crop"]),
        _waiting(shares["wait"]),
        _first_epoch(times),
    ]
    return [advice for advice in rules if advice] or ["nothing stands out; the loader does well"]


def _unreadable(times: LoaderTimes) -> str | None:
    if not times.unreadable:
        return None
    return f"{times.unreadable} videos could not be read: videoclf check lists all of them"


def _workers(times: LoaderTimes, wait: float) -> str | None:
    workers, cores = times.num_workers, times.num_cores
    if workers < cores and wait < 0.3:
        alone = times.again.clips / times.again.seconds
        return (
            f"data.num_workers={cores}: {cores} cores are here, and data.num_workers is {workers}; "
            f"each worker makes about {alone:.0f} clips/s"
        )
    if workers > 2 * cores and wait < 0.3:
        return (
            f"data.num_workers={cores}: {workers} workers share {cores} cores, and nothing waits "
            "for the disk"
        )
    return None


def _prepare(times: LoaderTimes, reading: float) -> str | None:
    large = times.short_side_pixels >= 1.25 * times.resize_pixels
    long = times.gop_frames is not None and times.gop_frames >= 24
    if reading < 0.4 or not (large or long):
        return None
    facts = []
    if large:
        facts.append(
            f"the files' short side is {times.short_side_pixels:.0f} pixels and "
            f"{times.resize_pixels} are used"
        )
    if long:
        facts.append(f"keyframes are {times.gop_frames:.0f} frames apart")
    return (
        f"videoclf prepare --short-side {times.resize_pixels}: {' and '.join(facts)}; reading "
        f"takes {reading:.0%} of the time"
    )


def _several_clips(times: LoaderTimes, opening: float) -> str | None:
    if times.clips_per_video > 1 or opening < 0.4:
        return None
    batch = max(1, times.batch_size // 4)
    return (
        f"data.clips_per_video=4 data.batch_size={batch}: opening and decoding take "
        f"{opening:.0%} of the time, and several clips of a video share them"
    )


def _flow(flow: float) -> str | None:
    if flow < 0.3:
        return None
    return (
        f"videoclf flow: optical flow takes {flow:.0%} of the time; estimate it once, then set "
        "data.flow_folder, or store it at a smaller --short-side"
    )


def _crops(times: LoaderTimes, crop: float) -> str | None:
    if crop < 0.3 or times.resize_pixels <= times.crop_pixels:
        return None
    return (
        f"transform.resize_pixels={times.crop_pixels}: crops take {crop:.0%} of the time, and "
        f"are cut from frames of {times.resize_pixels} pixels for {times.crop_pixels}"
    )


def _waiting(wait: float) -> str | None:
    if wait < 0.3:
        return None
    return (
        f"{wait:.0%} of the time goes by waiting: copy the videos to a local disk, raise "
        "data.num_workers, or see what else runs on this machine"
    )


def _first_epoch(times: LoaderTimes) -> str | None:
    first, again = times.first.cpu_ms_per_clip, times.again.cpu_ms_per_clip
    if first < 1.5 * again:
        return None
    return (
        f"the first epoch costs {first:.0f} ms of CPU a clip and later ones {again:.0f}: each "
        "file's packet index is made once and kept in the cache folder"
    )
