"""What a logger can that goes on with the curves of a resumed run."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Continuing(Protocol):
    """A logger whose curves a resumed run goes on with."""

    def continue_before(self, step: int) -> None:
        """Forget `step` and later ones: the run measures them again."""
