"""What a GPU can do at most, and which share of it a network uses (MFU).

MFU is the arithmetic of the model's own training steps over what the device could do in that time:
3 forward passes' worth a clip (one forward, two backward), two operations a multiply-accumulate.
Peaks are the makers' figures for dense 16-bit matrix products, without sparsity.

Source: Chowdhery et al. 2022 (PaLM), appendix B.
"""

from __future__ import annotations

#: Operations a second by a part of the device's name; of two that fit, the longer one holds.
PEAK_16_BITS = {
    "T4": 65e12,
    "V100": 125e12,
    "L4": 121e12,
    "L40S": 362e12,
    "A10G": 70e12,
    "A100": 312e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "H200": 989e12,
    "B200": 2250e12,
}


def peak_operations(device_name: str) -> float | None:
    """Return a device's operations a second in 16 bits; None where they are not known."""
    words = device_name.replace("-", " ").split()
    known = [name for name in PEAK_16_BITS if all(part in words for part in name.split())]
    return PEAK_16_BITS[max(known, key=len)] if known else None


def utilisation(*, macs_per_clip: float, clips_per_second: float, peak: float) -> float:
    """Return the MFU of a training, in [0, 1].

    R3D-18 at 16x112x112 has 40.7e9 MACs: 1,000 clips/s on an H100 are
    6 * 40.7e9 * 1000 / 989e12 = 0.25.
    """
    return 6 * macs_per_clip * clips_per_second / peak
