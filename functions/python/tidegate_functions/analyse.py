"""Finds hours that are unlike the same hour of the weeks before, and adds up sites.

The score is the modified z-score of B. Iglewicz and D. Hoaglin ("How to Detect and Handle Outliers", ASQC 1993; NIST/SEMATECH e-Handbook of
Statistical Methods, 1.3.5.17): 0.6745 (x - median) / MAD, where MAD is the median of the absolute deviations from the median. Beyond 3.5 they
call a value an outlier. Where more than half of the weeks are equal MAD is 0; then the mean absolute deviation stands in, scaled as for
a normal distribution: (x - median) / (1.2533 MeanAD).
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from statistics import fmean, median

from .rollup import moment, rfc3339

WEEKS = 8
# With fewer a median says little.
WEEKS_MIN = 4
THRESHOLD = 3.5
# What is looked at: of gauges the mean, of meters what they rose by.
NAMES = ("mean", "increase")
WEEK = timedelta(weeks=1)


def score(value: float, before: list) -> float | None:
    """None: all before are equal, so that there is no scale."""
    middle = median(before)
    deviations = [abs(one - middle) for one in before]
    mad = median(deviations)
    if mad > 0:
        return 0.6745 * (value - middle) / mad
    mean = fmean(deviations)
    return (value - middle) / (1.2533 * mean) if mean > 0 else None


def hours(store, series: str, starts: list, now) -> dict:
    """Looks at hours that changed, and at those whose past they are. Returns whether they are unusual, by (series, start)."""
    changed = {moment(start) for start in starts}
    todo = {start + week * WEEK for start in changed for week in range(WEEKS + 1)}
    first, last = min(todo) - WEEKS * WEEK, max(todo)
    known = {}
    for start in sorted({begin - week * WEEK for begin in todo for week in range(WEEKS + 1)}):
        if first <= start <= min(last, now) and (found := store.rollup("hour", series, rfc3339(start))) and found.data:
            known[start] = found.data
    unusual = {}
    for start in sorted(todo):
        if start + timedelta(hours=1) > now or (start not in known and start not in changed):
            continue
        before = [known[start - week * WEEK] for week in range(1, WEEKS + 1) if start - week * WEEK in known]
        found = anomalies(known[start], before) if start in known else {}
        store.put_anomalies(series, rfc3339(start), found)
        unusual[series, rfc3339(start)] = bool(found)
    return unusual


def anomalies(data: dict, before: list) -> dict:
    """What is unusual about an hour, by the name of the value."""
    found = {}
    for name, value in numbers(data).items():
        past = [numbers(one)[name] for one in before if name in numbers(one)]
        if name.split("/")[-1] not in NAMES or len(past) < WEEKS_MIN:
            continue
        scored = score(value, past)
        if value != median(past) if scored is None else abs(scored) > THRESHOLD:
            found[name] = {
                "site": data["site"], "summary": data["summary"], "metric": data["metric"], "tags": data["tags"], "start": data["start"],
                "name": name, "value": value, "median": median(past), "score": scored, "weeks": len(past),
            }  # fmt: skip
    return found


def numbers(data: dict) -> dict:
    """Values by name; `metric/name` where the layout is wide."""
    flat = {}
    for name, value in data["values"].items():
        if isinstance(value, dict) and "bounds" not in value:
            flat.update({f"{name}/{inner}": number for inner, number in value.items()})
        else:
            flat[name] = value
    return {name: value for name, value in flat.items() if isinstance(value, (int, float))}


def totals(store, level: str, start: str, end: str) -> dict:
    """By site, summary and metric: how many series, readings and expected readings, and the sum of what meters rose by."""
    found = defaultdict(lambda: {"series": set(), "received": 0, "expected": 0})
    for rollup in store.rollups(level, start, end):
        if rollup.data is None:
            continue
        data, values = rollup.data, numbers(rollup.data)
        total = found[data["site"], data["summary"], data["metric"] or "*"]
        total["series"].add(rollup.series)
        total["received"] += data["completeness"]["received"]
        total["expected"] += data["completeness"].get("expected", 0)
        for name in ("increase", "integral_s"):
            for full in values:
                if full.split("/")[-1] == name:
                    total[full] = total.get(full, 0.0) + values[full]
    result: dict = {}
    for (site, summary, metric), total in sorted(found.items()):
        result.setdefault(site, {}).setdefault(summary, {})[metric] = {**total, "series": len(total["series"])}
    return result
