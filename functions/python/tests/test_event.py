"""What arrives, well-formed and not, and the answers of docs/events.md to it."""

import gzip
import json

import pytest
import zstandard
from tidegate_functions import answer, open_store
from tidegate_functions.request import BODY_BYTES_MAX
from world import minute, summary

STRUCTURED = {"Content-Type": "application/cloudevents+json"}
BATCH = {"Content-Type": "application/cloudevents-batch+json; charset=utf-8"}


@pytest.fixture
def store(tmp_path):
    opened = open_store(f"sqlite:///{tmp_path}/summaries.db")
    yield opened
    opened.close()


def send(store, content, headers, pack=lambda body: body):
    return answer(pack(json.dumps(content).encode()), headers, store)


def good(**counts):
    return (200, {"stored": 0, "stale": 0, "retired": 0, "ignored": 0, "failed": [], **counts})


def test_single_batch_lambda_and_binary(store):
    assert send(store, summary(minute(0)), STRUCTURED) == good(stored=1)
    assert send(store, [summary(minute(0)), summary(minute(1))], BATCH) == good(stored=1, stale=1)
    assert send(store, {"events": [summary(minute(2))]}, {"content-type": "application/json"}) == good(stored=1)
    event = summary(minute(3))
    headers = {f"ce-{name}": event[name] for name in ("id", "source", "type", "specversion")}
    assert send(store, event["data"], {**headers, "Content-Type": "application/json"}) == good(stored=1)
    assert [row.key for row in store.rows()] == [minute(n) for n in range(4)]


@pytest.mark.parametrize("name, pack", [("gzip", gzip.compress), ("zstd", zstandard.compress), ("identity", lambda body: body)])
def test_compression(store, name, pack):
    assert send(store, [summary()], {**BATCH, "Content-Encoding": name}, pack) == good(stored=1)


@pytest.mark.parametrize("pack, encoding, status", [
    (lambda body: body, "gzip", 400),
    (lambda body: gzip.compress(body)[:-9], "gzip", 400),
    (lambda body: body, "zstd", 400),
    (lambda body: body, "br", 415),
    (lambda body: gzip.compress(b" " * (BODY_BYTES_MAX + 1)), "gzip", 413),
    (lambda body: zstandard.compress(b" " * (BODY_BYTES_MAX + 1)), "zstd", 413),
    (lambda body: body[:-1], "", 400),
    (lambda body: b"\xff", "", 400),
    (lambda body: b"[" * 100_000, "", 400),
])  # fmt: skip
def test_unreadable_bodies(store, pack, encoding, status):
    assert send(store, summary(), {**STRUCTURED, "Content-Encoding": encoding}, pack)[0] == status
    assert store.rows() == []


def test_types_that_are_not_known_are_confirmed(store):
    other = {**summary(), "type": "tidegate.something.v9", "data": 7}
    assert send(store, [other, summary()], BATCH) == good(stored=1, ignored=1)


@pytest.mark.parametrize("broken", [
    {"specversion": "0.3"}, {"source": 7}, {"source": "rollup:hour"}, {"source": "/" + "x" * 2048}, {"type": None}, {"data": []},
    {"key": ""}, {"key": "x" * 1025}, {"key": "a\0b"}, {"revision": -1}, {"revision": 1.5}, {"revision": True}, {"revision": "1"},
    {"revision": 2**53 - 1}, {"replaces": "x"}, {"replaces": [7]}, {"window": None}, {"window": {"start": "x", "end": ""}},
    {"summary": 7},
])  # fmt: skip
def test_a_malformed_event_is_named_and_the_others_are_kept(store, broken):
    event = summary(minute(0))
    place = event if next(iter(broken)) in event else event["data"]
    place.update(broken)
    status, result = send(store, [event, summary(minute(1))], BATCH)
    assert (status, result["stored"]) == (200, 1)
    assert [(failed["id"], failed["retry"]) for failed in result["failed"]] == [(event["id"], False)]


@pytest.mark.parametrize("nameless", [7, None, [], {"id": ""}, {"id": 7}, {}])
def test_an_event_that_cannot_be_named_refuses_the_request(store, nameless):
    assert send(store, [summary(), nameless], BATCH)[0] == 400
    assert store.rows() == [], "nothing is kept of what is refused as a whole"


def test_an_event_does_not_retire_itself(store):
    assert send(store, summary(minute(0), replaces=[minute(0), minute(1), minute(1)]), STRUCTURED) == good(stored=1, retired=1)
    assert [row.key for row in store.rows()] == [minute(0)]


def test_a_failing_store_asks_for_everything_again(tmp_path, caplog):
    store = open_store(f"sqlite:///{tmp_path}/no/such/folder/summaries.db")
    status, result = send(store, summary(), STRUCTURED)
    assert status == 503
    assert str(tmp_path) not in json.dumps(result), "where the data is kept is nobody's business"
    assert "unable to open database file" in caplog.text


def test_alerts_and_heartbeats_are_kept_like_summaries(store):
    alert = {**summary("overheat/temperature/dev3/2026-11-22T19:09:32Z/alert1"), "type": "tidegate.alert.v1"}
    alert["data"] = {"key": alert["data"]["key"], "revision": 1, "replaces": [], "alert": "overheat", "state": "cleared"}
    beat = {**summary(), "type": "tidegate.heartbeat.v1", "id": "heartbeat/r7", "data": {"key": "heartbeat", "revision": 7}}
    assert send(store, [alert, beat], BATCH) == good(stored=2)
