"""The test of shares keeps what it promises, by numbers that are computed in another way."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest

from conformance.checks.discovery.shares import FALSE_ALARM, MISS, ShareTest, share_test

SHARES = (Fraction(1, 10), Fraction(1, 4), Fraction(1, 2), Fraction(9, 10))


def accepted(test: ShareTest, share: Fraction) -> Fraction:
    """How probable the test's range is under a share, exactly."""
    good, bad = share.numerator, share.denominator - share.numerator
    ways = (
        comb(test.calls, count) * good**count * bad ** (test.calls - count)
        for count in range(test.fewest, test.most + 1)
    )
    return Fraction(sum(ways), share.denominator**test.calls)


@pytest.mark.parametrize("share", SHARES)
def test_a_right_share_is_hardly_ever_called_wrong(share: Fraction):
    assert 1 - accepted(share_test(float(share)), share) <= FALSE_ALARM


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("shift", [Fraction(-1, 10), Fraction(1, 10)])
def test_a_share_that_is_off_by_ten_points_is_hardly_ever_called_right(share: Fraction, shift: Fraction):
    assert accepted(share_test(float(share)), share + shift) <= MISS


def test_counts_at_the_edges_fit_and_those_beyond_do_not():
    test = share_test(0.1)
    assert test.fits(test.fewest)
    assert test.fits(test.most)
    assert not test.fits(test.fewest - 1)
    assert not test.fits(test.most + 1)
