"""What a tracked value may be."""

import math

import pytest

from optbench.asv.samples import samples


def test_eight_positive_numbers_are_samples():
    assert samples(range(1, 9)) == {"samples": [float(n) for n in range(1, 9)], "number": 1}


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.inf, math.nan])
def test_what_asv_cannot_hold_is_refused(wrong):
    with pytest.raises(ValueError, match="positive and finite"):
        samples([1.0] * 8 + [wrong])


def test_too_few_for_a_test_are_refused():
    with pytest.raises(ValueError, match="7 samples are too few"):
        samples([1.0] * 7)
