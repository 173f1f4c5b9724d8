"""Class names of data sets that many entries share, in the order of their heads."""

from __future__ import annotations


def class_names_of(class_set: str | None) -> tuple[str, ...]:
    """Return a data set's class names; none where they are not at hand.

    Kinetics-400's are torchvision's: sorted by name, as every peer sorts them.
    """
    if class_set == "kinetics400":
        from torchvision.models.video import R3D_18_Weights  # brings torch along

        return tuple(R3D_18_Weights.KINETICS400_V1.meta["categories"])
    return ()
