"""Each law on each store: SQLite, PostgreSQL, DynamoDB."""

import functools
import random
import sqlite3
import threading

import pytest
from tidegate_functions import ingest, open_store
from world import OTHER, SOURCE, disordered, expected, history, minute, summary, table


def test_the_highest_revision_wins_in_any_order(store):
    for revision, outcome in [(1, "stored"), (0, "stale"), (1, "stale"), (3, "stored"), (2, "stale")]:
        result = ingest([summary(revision=revision)], store)
        assert result == {"stored": 0, "stale": 0, "retired": 0, "ignored": 0, "failed": [], outcome: 1}
    assert [row.revision for row in store.rows()] == [3]
    assert store.rows()[0].data == summary(revision=3)["data"]


def test_a_retired_key_stays_retired_whenever_it_comes(store):
    merged = summary(minute(0).replace("60s", "120s"), replaces=[minute(0), minute(1)])
    assert ingest([summary(minute(0), 2)], store)["stored"] == 1
    assert ingest([merged], store) == {"stored": 1, "stale": 0, "retired": 2, "ignored": 0, "failed": []}
    # The other part comes only now, the first one again, and a revision of it that nobody has seen.
    late = [summary(minute(1)), summary(minute(0), 2), summary(minute(0), 9)]
    assert ingest(late, store) == {"stored": 0, "stale": 3, "retired": 0, "ignored": 0, "failed": []}
    assert list(table(store)) == [(SOURCE, merged["data"]["key"])]


def test_what_a_stale_event_replaces_is_retired_all_the_same(store):
    key = minute(0).replace("60s", "120s")
    ingest([summary(minute(0)), summary(key, 5)], store)
    assert ingest([summary(key, 4, [minute(0)])], store)["retired"] == 1
    assert list(table(store)) == [(SOURCE, key)]


def test_an_event_and_what_retires_it_in_one_batch(store):
    key = minute(0).replace("60s", "120s")
    result = ingest([summary(key, 0, [minute(0)]), summary(minute(0), 7), summary(minute(0), 7)], store)
    assert (result["stored"] + result["stale"], result["retired"]) == (3, 1)
    assert list(table(store)) == [(SOURCE, key)]


def test_gateways_do_not_touch_each_other(store):
    ingest([summary(minute(0)), summary(minute(0), 1, source=OTHER)], store)
    ingest([summary(minute(5), 0, [minute(0)], source=OTHER)], store)
    assert list(table(store)) == [(SOURCE, minute(0)), (OTHER, minute(5))]


@pytest.mark.parametrize("seed", range(5))
def test_any_order_any_batches_any_repetition_give_the_same_table(store, seed):
    events = history(seed)
    for batch in disordered(events, random.Random(seed)):
        ingest(batch, store)
    assert table(store) == expected(events)


def test_concurrent_invocations(store_url):
    """Four instances take the same batches in different orders, as after time-outs that had succeeded."""
    events, problems = history(77), []
    open_store(store_url).close()

    def instance(number):
        own = open_store(store_url)
        try:
            for batch in disordered(events, random.Random(number)):
                failed = ingest(batch, own)["failed"]
                assert not failed, failed
        except BaseException as problem:
            problems.append(problem)
        finally:
            own.close()

    threads = [threading.Thread(target=instance, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    opened = open_store(store_url)
    assert table(opened) == expected(events)
    opened.close()


@pytest.mark.parametrize("store_url", ["sqlite", "postgresql"], indirect=True)
def test_batches_in_opposite_orders_do_not_dead_lock(store_url):
    """DynamoDB has no locks. PostgreSQL would end one of two transactions that wait for each other, and its connection would be given up."""
    events = [[summary(f"minute/t/dev{n}/2026-11-22T19:00:00Z/60s", revision) for n in range(200)] for revision in range(8)]
    lost, together = [], threading.Barrier(2)

    def instance(turn):
        own = open_store(store_url)
        own.rows()
        own.drop = lambda: lost.append("a connection")
        for batch in events:
            together.wait(timeout=60)
            lost.extend(ingest(batch[::turn], own)["failed"])
        own.connection.close()

    threads = [threading.Thread(target=instance, args=(turn,)) for turn in (1, -1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lost == []
    opened = open_store(store_url)
    assert {row.revision for row in opened.rows()} == {7}
    opened.close()


def test_a_batch_that_broke_off_comes_again(store, monkeypatch):
    """The store dies at every possible write of a batch; then the gateway sends it again. In SQL all of a batch is there, or nothing."""
    events = history(3)[:12] + [summary(minute(0).replace("60s", "120s"), 0, [minute(0), minute(1)])]
    died = 0
    for writes in range(1, 16):
        with monkeypatch.context() as patch:
            break_after(store, writes, patch)
            try:
                ingest(events, store)
            except ConnectionError:
                died += 1
                if not hasattr(store, "client"):
                    patch.undo()
                    store.drop()
                    assert table(store) == {}
    assert died >= 5 or hasattr(store, "client")
    ingest(events, store)
    assert table(store) == expected(events)


def break_after(store, writes, patch):
    """The store is gone after so many writes."""
    left = [writes]

    def dying(write):
        def limited(*arguments, **named):
            left[0] -= 1
            if left[0] < 0:
                raise ConnectionError("the connection is gone")
            return write(*arguments, **named)

        return limited

    if hasattr(store, "client"):
        patch.setattr(store, "update", dying(store.update))
        return

    class Connection(sqlite3.Connection):
        """Unlike its parent it can have a method of its own."""

    real = store.connect
    patch.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=Connection))

    def connect():
        connection = real()
        connection.execute = dying(connection.execute)
        return connection

    store.drop()
    patch.setattr(store, "connect", connect)


def test_a_dead_connection_is_opened_anew(store):
    if hasattr(store, "client"):
        pytest.skip("DynamoDB has no connection to lose")
    ingest([summary(minute(0))], store)
    store.connection.close()
    assert ingest([summary(minute(1))], store)["stored"] == 1
    assert len(store.rows()) == 2


def test_what_is_pending_is_settled_unless_it_changed(store):
    event = summary(state="AQ==")
    ingest([event], store)
    assert store.pending() == ["minute/2026-11-22T19"]
    read = store.bucket("minute/2026-11-22T19")
    ingest([summary(revision=1, state="AQ==")], store)
    store.settle(read)
    assert store.pending() == ["minute/2026-11-22T19"], "the new revision was not read"
    store.settle(store.bucket("minute/2026-11-22T19"))
    assert store.pending() == []
    ingest([summary(minute(11), 0, [event["data"]["key"]])], store)
    assert store.pending() == ["minute/2026-11-22T19"], "a retired window changes its hour"
    assert [row.data for row in store.bucket("minute/2026-11-22T19")] == [None]


@pytest.mark.parametrize("store_url", ["dynamodb"], indirect=True)
def test_what_dynamodb_would_not_take_is_named(store, monkeypatch):
    """Throttled: again. Greater than 400 KB: never. The others are kept."""
    large = summary(minute(2), values={"x": "y" * 420_000})
    real = store.update

    def throttled(source, key, *arguments, **named):
        if key in (minute(1), minute(9)):
            raise store.errors.ProvisionedThroughputExceededException({"Error": {"Code": "Throttled"}}, "UpdateItem")
        return real(source, key, *arguments, **named)

    monkeypatch.setattr(store, "update", throttled)
    replacing = summary(minute(3), replaces=[minute(9)])
    result = ingest([summary(minute(0)), summary(minute(1)), large, replacing], store)
    failed = {failed["id"]: failed["retry"] for failed in result["failed"]}
    assert failed == {f"{minute(1)}/r0": True, large["id"]: False, replacing["id"]: True}
    assert [row.key for row in store.rows()] == [minute(0), minute(3)]
    with pytest.raises(store.errors.ProvisionedThroughputExceededException):
        ingest([summary(minute(1))], store)
