"""What a probe found, in a sentence or three."""

from __future__ import annotations

from videoclf.order_probe.measuring import OrderProbe, Share


def sentence(found: OrderProbe) -> str:
    """Say how much of the accuracy is motion, and how much of it the order of frames."""
    plain = found.accuracy("plain")
    share = found.motion_share()
    if share is None:
        return (
            f"The network gets {plain.value:.1%} right, no more than always naming the most "
            f"frequent class ({found.chance:.1%}): there is no accuracy to explain."
        )
    still = found.loss_of(found.best_still)
    above = plain.value - found.chance
    said = (
        f"Of the {100 * above:.1f} points that the network has above chance, {share:.0%} is "
        f"motion: stills ({found.best_still}) lose {_points(still)}. Without the order of frames "
        f"it loses {_points(found.loss_of('shuffled'))}, with time reversed "
        f"{_points(found.loss_of('reversed'))}."
    )
    if still.interval is not None and still.interval[0] <= 0:
        said += " These videos do not tell whether it uses motion at all."
    return said


def percent(share: Share) -> str:
    """Write a share with its interval, such as 93.2 % (88.1 to 97.0)."""
    if share.interval is None:
        return f"{share.value:.1%}"
    low, high = (f"{100 * bound:.1f}" for bound in share.interval)
    return f"{share.value:.1%} ({low} to {high})"


def _points(share: Share) -> str:
    """Write a difference in percentage points."""
    said = f"{100 * share.value:.1f} points"
    if share.interval is None:
        return said
    low, high = (f"{100 * bound:.1f}" for bound in share.interval)
    return f"{said} ({low} to {high})"
