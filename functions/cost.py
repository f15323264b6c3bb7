#!/usr/bin/env python3
"""Requests and bytes per month: every reading forwarded as it comes, against summaries.

    python3 functions/cost.py --sensors 100 --every 10

Prints the table of functions/README.md. Nothing in it is a price: those change, and stand on the vendors' pages.
"""

import argparse
import gzip
import json
import pathlib
import random
import re

DOCS = pathlib.Path(__file__).resolve().parents[1] / "docs"
MONTH = 30 * 86_400
BATCH = 500
# Of one request and its answer on a connection that stays open: HTTP/1.1 header lines of both, and two TLS records.
OVERHEAD = 500


def example(document: str) -> dict:
    """The first event that a document shows."""
    return json.loads(re.search(r"```json\n(.*?)```", (DOCS / document).read_text(), re.S)[1])


def reading(n: int, rng: random.Random) -> dict:
    """About the least that a raw reading can be and still say what it is."""
    return {"device": f"dev{n}", "metric": "temperature", "value": round(rng.uniform(15, 30), 2), "time": "2026-11-22T19:09:02.250Z", "sequence": rng.randrange(10**6)}


def summary(n: int, rng: random.Random, state: str) -> dict:
    """The event of docs/events.md, of another device and with other values."""
    event = json.loads(json.dumps(example("events.md")).replace("dev3", f"dev{n}"))
    values = event["data"]["values"]
    for name in ("mean", "min", "max", "last"):
        values[name] = round(rng.uniform(15, 30), 2)
    values["stddev"] = rng.uniform(0, 1)
    if state:
        # As long as the example of docs/state.md, and as hard to compress.
        event["data"]["state"] = "".join(rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", k=len(state)))
    return event


def body(events: list, packed: bool) -> int:
    data = json.dumps(events[0] if len(events) == 1 else events, separators=(",", ":"), ensure_ascii=False).encode()
    return len(gzip.compress(data, 6, mtime=0)) if packed else len(data)


def rows(sensors: int, every: float, window: float):
    """(what, events, requests, bytes) of a month."""
    rng = random.Random(1)
    state = re.findall(r"```text\n(\S+)\n```", (DOCS / "state.md").read_text())[-1]
    readings, windows = sensors * MONTH / every, sensors * MONTH / window
    # All windows of a moment close together, so that a request holds them all, or as many as a batch may.
    together = min(sensors, BATCH)
    for what, events, size, make, packed in (
        ("every reading, one a request", readings, 1, lambda n: reading(n, rng), False),
        (f"every reading, {BATCH} a request, gzip", readings, BATCH, lambda n: reading(n % sensors, rng), True),
        ("summaries, one a request", windows, 1, lambda n: summary(n, rng, ""), False),
        ("summaries, batches", windows, together, lambda n: summary(n, rng, ""), False),
        ("summaries, batches, gzip", windows, together, lambda n: summary(n, rng, ""), True),
        ("summaries with `state`, batches, gzip", windows, together, lambda n: summary(n, rng, state), True),
    ):
        requests = events / size
        yield what, events, requests, requests * (body([make(n) for n in range(size)], packed) + OVERHEAD)


def short(number: float) -> str:
    """Two digits: the rest depends on the workload, and on the version of zlib."""
    rounded = float(f"{number:.1e}")
    for unit, name in ((1e9, " billion"), (1e6, " million"), (1, "")):
        if rounded >= unit:
            return f"{rounded / unit:,.3g}{name}" if unit > 1 else f"{rounded:,.0f}"
    return "0"


def table(sensors: int, every: float, window: float) -> str:
    lines = ["| what is sent | events | requests = invocations | bytes |", "|---|---:|---:|---:|"]
    for what, events, requests, size in rows(sensors, every, window):
        lines.append(f"| {what} | {short(events)} | {short(requests)} | {short(size / 1e6)} MB |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sensors", type=int, default=100)
    parser.add_argument("--every", type=float, default=10, help="seconds between two readings of a sensor")
    parser.add_argument("--window", type=float, default=60, help="seconds of a window")
    arguments = parser.parse_args()
    print(table(arguments.sensors, arguments.every, arguments.window))
