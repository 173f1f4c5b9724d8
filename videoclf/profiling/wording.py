"""A profile in words: sizes, fields, totals beside what is published."""

from __future__ import annotations

from videoclf.profiling.fields import Field
from videoclf.profiling.profile import Profile
from videoclf.profiling.published import Published

_MIB = 2**20


def output_text(output: tuple[int, ...]) -> str:
    """Write a shape: 12x20x64x64."""
    return "x".join(map(str, output))


def field_text(field: Field | None) -> str:
    """Write a field, T x H x W; where frames within it are skipped, how many are seen."""
    if field is None:
        return ""
    seen = sum(field.frames)
    skipped = f" ({seen} frames)" if seen != field.num_frames else ""
    return "x".join(map(str, field.size)) + skipped


def totals(one: Profile) -> list[tuple[str, str]]:
    """Return what the whole model costs, as pairs of a name and a text."""
    memory = one.memory
    clips = f"{one.num_clips} clip" + "s" * (one.num_clips > 1)
    facts = [
        ("parameters", f"{one.parameters:,} ({one.head_parameters:,} in the classifier)"),
        (
            "operations",
            f"{one.macs / 1e9:,.3f} GMACs = {2 * one.macs / 1e9:,.3f} GFLOPs a clip",
        ),
        *((f"published, {row.source}", comparison(one, row)) for row in one.published),
        (
            "memory, estimated",
            (
                f"{memory.peak / _MIB:,.0f} MiB at the peak of a training step of {clips}: "
                f"weights {memory.weights / _MIB:,.0f}, gradients {memory.gradients / _MIB:,.0f}, "
                f"optimiser {memory.optimizer / _MIB:,.0f}, "
                f"activations {memory.activations / _MIB:,.0f}; "
                f"{one.clip_bytes / _MIB:,.1f} for each more clip"
            ),
        ),
    ]
    if one.step is not None:
        step = one.step
        measured = "" if step.peak_bytes is None else f"; {step.peak_bytes / _MIB:,.0f} MiB used"
        facts.append(
            (
                "step, measured",
                (
                    f"{step.seconds:.3f} s for {clips} in 32 bits on {step.device}: forward "
                    f"{step.forward_seconds:.3f}, backward {step.backward_seconds:.3f}, optimiser "
                    f"{step.optimizer_seconds:.3f} (median of {step.num_steps}){measured}"
                ),
            )
        )
    return facts


def comparison(one: Profile, row: Published) -> str:
    """Say what is published, and how ours differs where the input is the same."""
    words = []
    if row.parameters:
        words.append(f"{_with_commas(row.parameters)} parameters{_parameter_note(one, row)}")
    if row.gmacs:
        at = f"{row.num_frames}x{row.crop_pixels}x{row.crop_pixels}"
        words.append(f"{row.gmacs} {row.convention} at {at}{_operation_note(one, row)}")
    return "; ".join(words) + (f"; {row.name}" if row.name != one.model else "")


def own_parameters(one: Profile, row: Published) -> int:
    """Return our parameters as the row counts them: 0 classes leaves the classifier out."""
    return one.parameters - (one.head_parameters if row.num_classes == 0 else 0)


def own_gmacs(one: Profile, row: Published) -> float:
    """Return our 10^9 multiply-accumulates as the row counts them."""
    return (one.macs - (one.head_macs if row.num_classes == 0 else 0)) / 1e9


def _parameter_note(one: Profile, row: Published) -> str:
    without = " without the classifier" if row.num_classes == 0 else ""
    if row.num_classes not in (0, one.num_classes):
        return f" for {row.num_classes} classes"
    if not row.parameters.isdigit():
        return without
    difference = own_parameters(one, row) - int(row.parameters)
    return without + (" (equal)" if difference == 0 else f" (ours {difference:+,})")


def _operation_note(one: Profile, row: Published) -> str:
    if (row.num_frames, row.crop_pixels) != (one.num_frames, one.crop_pixels):
        return ""
    return f" (ours {own_gmacs(one, row) / float(row.gmacs) - 1:+.1%})"


def _with_commas(number: str) -> str:
    return f"{int(number):,}" if number.isdigit() else number
