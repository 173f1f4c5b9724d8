"""Segments as subtitles, which every player shows over the video: SubRip (.srt) and WebVTT (.vtt).

Source: W3C, "WebVTT: The Web Video Text Tracks Format", sections 4 and 6 (escapes, timestamps).
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from videoclf.predicting.segments import Segment


def srt(segments: Sequence[Segment]) -> str:
    """Return the text of a SubRip file."""
    cues = [
        f"{number}\n{_times(segment, ',')}\n{_caption(segment).replace('-->', '->')}\n"
        for number, segment in enumerate(segments, start=1)
    ]
    return "\n".join(cues)


def webvtt(segments: Sequence[Segment]) -> str:
    """Return the text of a WebVTT file; `&`, `<` and `>` in names are escaped."""
    cues = [f"{_times(segment, '.')}\n{escape(_caption(segment))}\n" for segment in segments]
    return "\n".join(["WEBVTT\n", *cues])


def _caption(segment: Segment) -> str:
    return f"{' '.join(segment.label.split())} {segment.probability:.0%}"


def _times(segment: Segment, point: str) -> str:
    return f"{timestamp(segment.start, point)} --> {timestamp(segment.end, point)}"


def timestamp(seconds: float, point: str) -> str:
    """Write a time as 01:02:03.456, with the mark that the format has before milliseconds."""
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{point}{rest % 1000:03}"
