"""Displacements as codes and back."""

import numpy as np
import pytest

from videoclf.flow.quantisation import Quantisation, mirrored

#: of the largest value that float32 has to hold
FLOAT_ROUNDING = 2.0**-22


@pytest.mark.parametrize("bound", [0.5, 20.0, 127.5])
def test_the_round_trip_is_within_half_a_step(bound):
    fields = np.random.default_rng(0).uniform(-bound, bound, (9, 40, 50, 2)).astype(np.float32)
    quantisation = Quantisation(bound)
    back = quantisation.fields(quantisation.codes(fields))
    assert back.dtype == np.float32
    assert np.abs(back - fields).max() <= quantisation.step_pixels / 2 + bound * FLOAT_ROUNDING


def test_the_codes_are_those_of_tsn():
    fields = np.array([-30, -20, -10, 0, 0.1, 10, 20, 99], np.float32)
    codes = Quantisation(20.0).codes(fields)
    assert codes.dtype == np.uint8
    assert codes.tolist() == [0, 0, 64, 128, 128, 191, 255, 255]
    plain = (np.clip(fields, -20, 20) + 20) * 255 / 40
    assert np.abs(codes - plain).max() <= 0.5
    assert Quantisation(20.0).fields(np.array([0, 128, 255], np.uint8)).tolist() == pytest.approx(
        [-20, 20 / 255, 20], abs=1e-5
    )


def test_codes_of_codes_are_the_same():
    codes = np.arange(256, dtype=np.uint8)
    quantisation = Quantisation(7.3)
    assert np.array_equal(quantisation.codes(quantisation.fields(codes)), codes)


def test_mirrored():
    fields = np.random.default_rng(0).normal(0, 15, (3, 8, 10, 2)).astype(np.float32)
    quantisation = Quantisation(20.0)
    codes = quantisation.codes(fields)
    assert np.array_equal(mirrored(mirrored(codes)), codes)
    negated = fields[:, :, ::-1] * np.array([-1, 1], np.float32)
    levels = np.abs(mirrored(codes).astype(int) - quantisation.codes(negated))
    assert levels[..., 0].max() <= 1
    assert levels[..., 1].max() == 0


@pytest.mark.parametrize("bound", [0.0, -1.0, float("nan"), float("inf")])
def test_bounds_that_make_no_sense(bound):
    with pytest.raises(ValueError, match="the bound must be above 0 pixels, not"):
        Quantisation(bound)
