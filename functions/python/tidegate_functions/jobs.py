"""What a timer calls: rolls up what has come since the last run, and looks through it."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta, timezone

from . import analyse, rollup


def run(store, sites: rollup.Sites | None = None, now: datetime | None = None) -> dict:
    """Returns what it did. A run that broke off is done again by the next."""
    sites, now = sites or rollup.Sites(), now or datetime.now(timezone.utc)
    done = {"windows": 0, "hours": 0, "days": 0, "unreadable": 0, "anomalies": 0}
    days, unusual = defaultdict(list), {}
    for bucket in store.pending():
        # summary/2026-11-22T19
        days[bucket[:-3]].append(bucket)
    for buckets in days.values():
        unusual.update(one_day(store, buckets, sites, now, done))
    done["anomalies"] = sum(unusual.values())
    return done


def one_day(store, buckets: list, sites: rollup.Sites, now: datetime, done: dict) -> dict:
    read, starts, unusual = [], defaultdict(list), {}
    for bucket in buckets:
        start = bucket.rpartition("/")[2] + ":00:00Z"
        rows, touched, unreadable = rollup.hour(store, bucket, sites)
        done["windows"] += sum(row.data is not None for row in rows)
        done["hours"] += len(touched)
        done["unreadable"] += unreadable
        for series in touched:
            starts[series].append(start)
        # An hour that is not over stays pending: nothing may come any more that would make it be looked at when it is.
        if rollup.moment(start) + timedelta(hours=1) <= now:
            read += rows
    for series, changed in starts.items():
        done["days"] += rollup.day(store, series, changed[0][:10] + "T00:00:00Z")
        unusual.update(analyse.hours(store, series, changed, now))
    store.settle(read)
    return unusual
