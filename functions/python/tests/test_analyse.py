"""Scores against numbers worked out by hand, and hours against the weeks before."""

from datetime import datetime, timedelta, timezone

import pytest
from tidegate_functions import analyse, ingest, jobs
from tidegate_functions.rollup import Sites
from world import OTHER, full

NOW = datetime(2026, 12, 1, tzinfo=timezone.utc)
START = datetime(2026, 11, 22, 19)


@pytest.mark.parametrize("value, before, expected", [
    # The median of 1 to 5 is 3, the deviations are 2 1 0 1 2, and their median is 1.
    (13.0, [1.0, 2.0, 3.0, 4.0, 5.0], 6.745),
    (3.0, [5.0, 1.0, 4.0, 2.0, 3.0], 0.0),
    (-7.0, [1.0, 2.0, 3.0, 4.0, 5.0], -6.745),
    # MAD is 0, the mean deviation 2 / 5.
    (7.0, [5.0, 5.0, 5.0, 5.0, 3.0], 2.0 / (1.2533 * 0.4)),
    (7.0, [5.0, 5.0, 5.0, 5.0], None),
])  # fmt: skip
def test_scores(value, before, expected):
    assert analyse.score(value, before) == (None if expected is None else pytest.approx(expected))


def week(n):
    return (START - timedelta(weeks=n)).strftime("%Y-%m-%dT%H")


def run(store, now=NOW):
    return jobs.run(store, Sites({}), now)["anomalies"]


def test_an_hour_unlike_the_weeks_before(store):
    ingest([full([20.0 + n % 3], date=week(n)) for n in range(1, 9)], store)
    assert run(store) == 0
    ingest([full([35.0], date=week(0))], store)
    assert run(store) == 1
    (found,) = store.anomalies()
    assert (found["site"], found["name"], found["value"], found["median"], found["weeks"]) == ("greenhouse-7", "mean", 35.0, 21.0, 8)
    assert found["score"] == pytest.approx(0.6745 * 14)
    ingest([full([5.0], date=week(0), revision=1)], store)
    assert run(store) == 1
    assert store.anomalies()[0]["score"] == pytest.approx(-0.6745 * 16)
    # A late reading puts it right.
    ingest([full([35.0, 8.0], date=week(0), revision=2)], store)
    assert run(store) == 0
    assert store.anomalies() == []


def test_the_past_of_an_hour_may_come_late(store):
    """A gateway that was offline for months delivers the weeks after the hour that they are the past of."""
    ingest([full([35.0], date=week(0))], store)
    assert run(store) == 0
    ingest([full([20.0 + n % 3], date=week(n)) for n in range(1, 9)], store)
    assert run(store) == 1
    assert [found["start"] for found in store.anomalies()] == ["2026-11-22T19:00:00Z"]


def test_too_few_weeks_and_hours_that_are_not_over_say_nothing(store):
    ingest([full([20.0], date=week(n)) for n in range(1, 4)] + [full([99.0], date=week(0))], store)
    assert run(store) == 0, "three weeks"
    ingest([full([20.0], date=week(4)), full([98.0], 1, date=week(0))], store)
    assert run(store, datetime(2026, 11, 22, 19, 59, tzinfo=timezone.utc)) == 0, "one minute is left"
    assert run(store) == 1, "it was not forgotten"


def test_totals_by_site(store):
    ingest([full([1.0, 2.0], completeness={"received": 2, "expected": 3}), full([5.0], source=OTHER), full([5.0], 3, source=OTHER)], store)
    run(store)
    for level, start, end in (("hour", "2026-11-22T19:00:00Z", "2026-11-22T20:00:00Z"), ("day", "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z")):
        assert analyse.totals(store, level, start, end) == {
            "greenhouse-7": {"minute": {"temperature": {"series": 1, "received": 2, "expected": 3}}},
            "greenhouse-8": {"minute": {"temperature": {"series": 1, "received": 2, "expected": 0}}},
        }
