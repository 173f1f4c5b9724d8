"""What a file of stored flow says of itself, in its metadata, as JSON in the tag `comment`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

FORMAT = "videoclf flow 1"
TAG = "comment"


@dataclass(frozen=True)
class FlowHeader:
    """How the flow of one file was made and is coded.

    Args:
        method: a name of `videoclf.flow.METHODS`.
        settings: of the method, by their names.
        backward: from frame t+1 to frame t, instead of from t to t+1.
        bound_pixels: displacements are clipped to it; see `videoclf.flow.quantisation`.
        source_frames: of the video, one more than fields.
        source_height: pixels of the video as shown; the flow may be smaller.
        source_width: pixels.
    """

    method: str
    settings: Mapping[str, Any]
    backward: bool
    bound_pixels: float
    source_frames: int
    source_height: int
    source_width: int

    def to_text(self) -> str:
        """Return the header as JSON, with the rule to decode for whoever has only the file."""
        rule = "x (red) and y (green) in pixels = code * 2 * bound_pixels / 255 - bound_pixels"
        return json.dumps({"format": FORMAT, **asdict(self), "decode": rule})

    @classmethod
    def from_text(cls, text: str) -> FlowHeader:
        """Read the header from JSON.

        Raises:
            ValueError: the text is no such header; the text of the error is a clause.
        """
        try:
            values = json.loads(text)
            given = values.pop("format")
            del values["decode"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError("is no stored flow; write it with videoclf flow") from error
        if given != FORMAT:
            raise ValueError(f"is of the format {given!r}, not {FORMAT!r}; write it anew")
        try:
            return cls(**values)
        except TypeError as error:
            raise ValueError(f"has a header that is damaged ({error}); write it anew") from error
