"""What many times say together: percentiles by nearest rank, and bounds that are judged only where they are stated."""

from __future__ import annotations

import pytest

from conformance.checks.policy.measuring import distribution, percentile, within


@pytest.mark.parametrize(
    ("percent", "found"),
    [(0, 1.0), (1, 1.0), (50, 25.0), (90, 45.0), (98, 49.0), (99, 50.0), (100, 50.0)],
)
def test_a_percentile_is_one_of_the_times_that_so_many_do_not_exceed(percent: float, found: float) -> None:
    assert percentile([float(each) for each in range(50, 0, -1)], percent) == found


def test_of_one_time_every_percentile_is_that_time() -> None:
    assert distribution([0.25]) == {"changes": 1, "min": 0.25, "median": 0.25, "p90": 0.25, "p99": 0.25, "max": 0.25}


def test_no_times_have_no_distribution() -> None:
    assert distribution([]) == {"changes": 0}


def test_a_time_is_judged_by_a_stated_bound_only() -> None:
    assert within(1e6, None)
    assert within(2.0, 2.0)
    assert not within(2.001, 2.0)
