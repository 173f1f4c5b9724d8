"""One pass over a long video, from begin to end: nothing is decoded twice, nothing is left out."""

from __future__ import annotations

import numpy as np
from av.packet import Packet
from av.video.stream import VideoStream

from videoclf.readers.pyav import PyavReader


class ForwardReader(PyavReader):
    """The reader of reference for many ascending calls, each of which begins where the last ended.

    `PyavReader` spares what a call does not need, also of the packets that the decoder was given
    ahead; a next call that asks for those frames would have to go back to their keyframe.
    """

    def _may_skip(self, packet: Packet[VideoStream]) -> bool:  # noqa: ARG002
        return False

    def _stretches(self, distinct: np.ndarray) -> list[np.ndarray]:
        return [distinct]  # the decoder is never emptied before a seek: it goes on behind it
