"""Merges the states of windows into hours, and hours into days.

An hour is always computed from all its windows that are not retired, never added to: a revision, a window that replaces others, or a second
run gives the same hour as if everything had come in order. What a run has read is marked only afterwards, so that a run that broke off is done
again; and a run writes only over the version that it read, so that of two at one time the later sees everything.

Windows of several gateways merge where they belong to one site. A window that goes beyond the end of its hour (the daemon merges windows when its
buffer is nearly full) counts for the hour in which it begins, and the hour's `window.end` says how far it goes.
"""

from __future__ import annotations

import fnmatch
import json
import os
from collections import defaultdict
from datetime import datetime, timedelta, timezone

from .state import Partial, Unreadable
from .store import Rollup

LEVELS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
# Per something in the gateway's configuration, per second here: events do not say what.
PER_SECOND = {"rate": "rate_per_s", "derivative": "derivative_per_s", "slope": "slope_per_s", "integral": "integral_s"}
ATTEMPTS = 10
# With "rollup:hour:" before it a partition key of DynamoDB.
SERIES_BYTES_MAX = 2_000
# The year 10000, in microseconds.
END_OF_TIME = 253_402_300_800_000_000


class Sites:
    """Which gateways belong together: `{"north": ["north-a", "north-b*"]}`; every other is a site of its own. Only gateways whose readings
    are parts of one whole, such as those that share a subscription, belong to one site if they name devices alike."""

    def __init__(self, patterns: dict | None = None):
        self.patterns = patterns if patterns is not None else json.loads(os.environ.get("TIDEGATE_SITES") or "{}")

    def of(self, source: str) -> str:
        """`source` is `/gateways/<gateway.id>/<name of the store>`."""
        gateway = source.split("/")[2] if source.count("/") >= 2 else source
        for site, patterns in self.patterns.items():
            if any(fnmatch.fnmatchcase(gateway, pattern) for pattern in patterns):
                return site
        return gateway


def hour(store, bucket: str, sites: Sites) -> tuple[list, list, int]:
    """Computes an hour. Returns the rows that it read, the series in it, and how many windows could not be read."""
    summary, _, begin = bucket.rpartition("/")
    start = f"{begin}:00:00Z"
    end = rfc3339(moment(start) + LEVELS["hour"])
    fresh = {}
    for _ in range(ATTEMPTS):
        known = {rollup.series: rollup for rollup in store.rollups("hour", start, end)}
        known = {series: rollup for series, rollup in known.items() if json.loads(series)[1] == summary}
        known.update(fresh)
        rows = store.bucket(bucket)
        computed, unreadable = of_windows(rows, start, sites)
        failed = write(store, "hour", start, computed, known)
        if not failed:
            return rows, sorted(computed.keys() | known.keys()), unreadable
        fresh.update((series, found) for series in failed if (found := store.rollup("hour", series, start)))
    raise RuntimeError(f"{bucket} is written by others all the time; run it again")


def day(store, series: str, start: str) -> bool:
    """Computes a day of a series from its hours. False: nothing changed."""
    end = rfc3339(moment(start) + LEVELS["day"])
    for _ in range(ATTEMPTS):
        known = store.rollup("day", series, start)
        hours = [rollup.data for rollup in store.history("hour", series, start, end) if rollup.data]
        computed = {series: of_hours(hours, start)} if hours else {}
        before = known.data if known else None
        if not write(store, "day", start, computed, {series: known} if known else {}):
            return before != computed.get(series)
    raise RuntimeError(f"{series} of {start} is written by others all the time; run it again")


def write(store, level: str, start: str, computed: dict, known: dict) -> list:
    """Puts what differs. Returns the series of which another run has written another version since."""
    failed = []
    for series in sorted(computed.keys() | known.keys()):
        before, data = known.get(series), computed.get(series)
        if (before.data if before else None) == data:
            continue
        if not store.put_rollup(Rollup(level, series, start, before.version + 1 if before else 1, data)):
            failed.append(series)
    return failed


def of_windows(rows: list, start: str, sites: Sites) -> tuple[dict, int]:
    """Hours by series."""
    groups, unreadable = defaultdict(list), 0
    for row in rows:
        if row.data is None:
            continue
        data = row.data
        try:
            part = read(data)
        except Unreadable:
            # Of a newer version, for one: not guessed at, but told.
            unreadable += 1
            continue
        series = compact([sites.of(row.source), data["summary"], data.get("stream"), data.get("metric"), data.get("tags", {})])
        if len(series.encode()) > SERIES_BYTES_MAX:
            unreadable += 1
            continue
        groups[series].append((data["window"]["start"], row.source, row.key, part, data))
    hours = {}
    for series, windows in groups.items():
        windows.sort(key=lambda window: window[:3])
        datas = [data for *_, data in windows]
        whole = merge([part for _, _, _, part, _ in windows])
        hours[series] = describe("hour", start, series, whole, datas, expected(windows))
        hours[series]["sources"] = sorted({source for _, source, *_ in windows})
        hours[series]["windows"] = len(windows)
    return hours, unreadable


def read(data: dict) -> Partial:
    """The state of a window, and that everything about it is as docs/events.md has it: one that is not must not stop all others."""
    part = Partial.decode(data["state"])
    due = data.setdefault("completeness", {})
    values = data.setdefault("values", {})
    wide = data.get("metric") is None
    if not (
        part.lanes
        and 0 <= part.start <= part.end < END_OF_TIME
        and isinstance(due, dict)
        and type(due.get("expected", 0)) is int
        and isinstance(values, dict)
        and (not wide or all(isinstance(inner, dict) for inner in values.values()))
    ):
        raise Unreadable("a window that no gateway makes")
    return part


def of_hours(hours: list, start: str) -> dict:
    whole = merge([Partial.decode(data["state"]) for data in hours])
    due = [data["completeness"]["expected"] for data in hours if "expected" in data["completeness"]]
    found = describe("day", start, hours[0]["series"], whole, hours, sum(due) if due else None)
    found["sources"] = sorted({source for data in hours for source in data["sources"]})
    found["windows"] = sum(data["windows"] for data in hours)
    return found


def describe(level: str, start: str, series: str, whole: Partial, parts: list, due: int | None) -> dict:
    """Like an event's data."""
    site, summary, stream, metric, tags = json.loads(series)
    completeness = {name: count for name, count in whole.completeness.items() if count or name == "received"}
    if due is not None:
        completeness["expected"] = due
    values, approximate = {}, []
    if metric is None:
        for lane in whole.lanes:
            values[lane.metric] = of_lane(lane, [part["values"].get(lane.metric, {}) for part in parts], approximate, f"{lane.metric}/")
    else:
        lane = whole.lane(metric) or whole.lanes[0]
        values = of_lane(lane, [part["values"] for part in parts], approximate, "")
    return {
        "level": level, "series": series, "site": site, "summary": summary, "stream": stream, "metric": metric, "tags": tags,
        "unit": parts[-1].get("unit"), "start": start, "window": {"start": rfc3339(micros(whole.start)), "end": rfc3339(micros(whole.end))},
        "values": values, "approximate": approximate, "completeness": completeness, "state": whole.encode(),
    }  # fmt: skip


def of_lane(lane, parts: list, approximate: list, prefix: str) -> dict:
    """Those values that the windows have; others would be there by chance."""
    again = {shown: name for name, shown in PER_SECOND.items()}
    names = dict.fromkeys(again.get(name, name) for part in parts for name in part)
    values = {PER_SECOND.get(name, name): lane.value(name) for name in names}
    approximate += [prefix + PER_SECOND.get(name, name) for name in names if lane.approximate(name)]
    return {name: value for name, value in values.items() if value is not None}


def expected(windows: list) -> int | None:
    """Gateways that share a window expect the same readings; each of them says so."""
    due = defaultdict(int)
    for start, *_, data in windows:
        if "expected" in data.get("completeness", {}):
            due[start] = max(due[start], data["completeness"]["expected"])
    return sum(due.values()) if due else None


def merge(parts: list) -> Partial:
    whole, *others = parts
    for part in others:
        whole.merge(part)
    return whole


def compact(value) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def micros(since_1970: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=since_1970)


def rfc3339(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S") + (f".{at.microsecond:06}".rstrip("0") if at.microsecond else "") + "Z"
