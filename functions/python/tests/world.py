"""Events as a gateway makes them, and what must be in the table then: computed here without any store."""

import random

SOURCE = "/gateways/greenhouse-7/j4bzf3"
OTHER = "/gateways/greenhouse-8/k5cag4"


def summary(key="minute/temperature/dev3/2026-11-22T19:09:00Z/60s", revision=0, replaces=(), source=SOURCE, **data):
    start = key.split("/")[3]
    end = data.pop("end", start[:17] + "59.999Z")
    return {
        "specversion": "1.0",
        "type": "tidegate.summary.v1",
        "source": source,
        "id": f"{key}/r{revision}",
        "subject": "/".join(key.split("/")[:3]),
        "time": end,
        "datacontenttype": "application/json",
        "data": {
            "key": key,
            "revision": revision,
            "replaces": list(replaces),
            "summary": key.split("/")[0],
            "stream": "climate",
            "metric": key.split("/")[1],
            "unit": "°C",
            "tags": {"device": key.split("/")[2]},
            "window": {"start": start, "end": end},
            "values": {"count": 5 + revision, "mean": 21.52},
            "completeness": {"received": 5 + revision, "rejected": 0, "duplicates": 0, "late": 0, "gaps": 0},
            "clock": "synchronised",
            **data,
        },
    }


def minute(n):
    return f"minute/temperature/dev3/2026-11-22T19:{n:02}:00Z/60s"


def history(seed):
    """Everything that two gateways ever say: windows with revisions, and merged windows that replace some of them."""
    rng = random.Random(seed)
    events = []
    for source in (SOURCE, OTHER):
        for n in range(12):
            events += [summary(minute(n), revision, source=source) for revision in range(rng.randrange(1, 5))]
        for n in range(0, 8, 2):
            if rng.random() < 0.6:
                parts = [minute(n), minute(n + 1)]
                # A later revision may know of more parts, and an earlier one of parts that a later one does not name.
                key = minute(n).replace("60s", "120s")
                events += [summary(key, revision, parts[: rng.randrange(3)], source) for revision in range(rng.randrange(1, 4))]
    return events


def expected(events):
    """The plainest reading of docs/events.md: {(source, key): data} of what counts."""
    gone = {(event["source"], key) for event in events for key in event["data"]["replaces"]}
    kept = {}
    for event in sorted(events, key=lambda event: event["data"]["revision"]):
        kept[event["source"], event["data"]["key"]] = event["data"]
    return {name: data for name, data in kept.items() if name not in gone}


def table(store):
    return {(row.source, row.key): row.data for row in store.rows()}


def disordered(events, rng):
    """Batches in any order, of any size, some of them twice, one long after."""
    events = events + rng.sample(events, len(events) // 3)
    rng.shuffle(events)
    while events:
        size = rng.choice([1, 2, 5, 17])
        yield events[:size]
        events = events[size:]


def state(start, end, readings, metric="temperature"):
    """`data.state` of a window with count, sum, mean and extremes, written here byte by byte (docs/state.md)."""
    import base64

    from tidegate_functions.rollup import moment
    from tidegate_functions.state.wire import Writer

    writer, mean = Writer(), sum(readings) / len(readings)
    writer.u8(1)
    for text in (start, end):
        writer.i64(round(moment(text).timestamp() * 1e6))
    for count in (len(readings), 0, 0, 0, 0, 0, 0, 0):
        writer.u32(count)
    writer.u32(1)
    writer.text(metric)
    writer.u8(0)
    writer.u32(2)
    writer.u32(0)
    writer.u64(len(readings))
    for number in (sum(readings), 0.0, mean, sum((value - mean) ** 2 for value in readings)):
        writer.f64(number)
    writer.u32(1)
    writer.u8(1)
    writer.f64(min(readings))
    writer.f64(max(readings))
    return base64.b64encode(bytes(writer.data)).decode()


def full(readings, n=0, revision=0, replaces=(), source=SOURCE, minutes=1, date="2026-11-22T19", **data):
    """A summary of `minutes` minutes from minute `n`, with its state."""
    from datetime import timedelta

    from tidegate_functions.rollup import moment, rfc3339

    start = f"{date}:{n:02}:00Z"
    end = rfc3339(moment(start) + timedelta(minutes=minutes))
    key = f"minute/temperature/dev3/{start}/{60 * minutes}s"
    values = {"count": len(readings), "mean": sum(readings) / len(readings), "max": max(readings)}
    data = {"values": values, "state": state(start, end, readings), "end": end, **data}
    return summary(key, revision, replaces, source, **data)
