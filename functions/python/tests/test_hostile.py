"""Whatever is in an event: it is kept or named as malformed. Nothing is answered with 503, which would block a gateway's queue for ever, and
nothing that was kept stops the roll-up of everything else."""

import copy
import json
import random
from datetime import datetime, timezone

from tidegate_functions import answer, jobs
from tidegate_functions.rollup import Sites
from world import full

VALUES = [None, True, 0, -1, 1.5, 2**53, 10**30, "", "x", "a\0b", "\ud800", "x" * 5000, [], [[]], [1], {}, {"x": 1}, {"start": 7}, "2026-13-40T25:61:61Z",
          "2026-11-22T19:00:00Z", "AQ==", "AYCgjKXRtrAGgLyo3tG2sAYCAQAAAgAAAAA=", "synchronised", "/gateways/a/b", "tidegate.alert.v1"]  # fmt: skip


def places(value, path=()):
    yield path
    if isinstance(value, dict):
        for name in value:
            yield from places(value[name], (*path, name))


def changed(event, path, value):
    event = copy.deepcopy(event)
    inner = event
    for name in path[:-1]:
        inner = inner[name]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return event


def test_any_value_at_any_place(store):
    whole = full([1.0, 2.0])
    key = whole["data"]["key"]
    events = []
    for path in places(whole):
        for value in [*VALUES, ...] if path else []:
            # Each is another window, so that none hides behind another's revision.
            whole["data"]["key"] = f"{key}/{len(events)}"
            events.append(changed(whole, path, value))
    # Some with two things wrong, so that the one does not hide the other.
    rng = random.Random(4)
    for event in rng.sample(events, 150):
        path = rng.choice([path for path in places(event) if path])
        events.append(changed(event, path, rng.choice(VALUES)))
    if hasattr(store, "client"):
        events = rng.sample(events, 300)
    statuses = set()
    for at in range(0, len(events), 50):
        batch = events[at : at + 50]
        status, result = answer(json.dumps(batch).encode(), {"content-type": "application/cloudevents-batch+json"}, store)
        if status == 400:
            # As the daemon does: one is so broken that it cannot be named, so each goes alone.
            for event in batch:
                statuses.add(answer(json.dumps(event).encode(), {"content-type": "application/cloudevents+json"}, store)[0])
        else:
            assert all(failed["retry"] is False for failed in result["failed"])
        statuses.add(status)
    assert statuses == {200, 400}
    done = jobs.run(store, Sites({}), datetime(2026, 12, 1, tzinfo=timezone.utc))
    assert done["windows"] > 10 and done["unreadable"] > 3
    assert store.pending() == []


def test_bodies_that_python_reads_and_json_does_not_know(store):
    for text in ("NaN", "Infinity", "1e999", '"\\ud800"'):
        body = json.dumps(full([1.0])).replace("1.0", text).encode()
        status, result = answer(body, {"content-type": "application/cloudevents+json"}, store)
        assert status == 400 or result["failed"][0]["retry"] is False
    assert store.rows() == []
