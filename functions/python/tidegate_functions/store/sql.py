"""The SQL store: SQLite by the standard library, or PostgreSQL by psycopg 3 (any DB-API connection with `%s` works).

Every write is one statement that compares revisions in the database itself, so that concurrent invocations need no lock of ours.
A batch is one transaction: after a crash in its midst nothing of it is there, and it comes again.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading

from ..event import KEY_BYTES_MAX, RETIRED, Event, is_text
from . import Outcome, Rollup, Row

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS events (
        source TEXT NOT NULL, key TEXT NOT NULL, revision BIGINT NOT NULL,
        type TEXT, stream TEXT, metric TEXT, tags TEXT, window_start TEXT, window_end TEXT,
        bucket TEXT, pending INTEGER NOT NULL, data TEXT,
        PRIMARY KEY (source, key))""",
    "CREATE INDEX IF NOT EXISTS events_by_bucket ON events (bucket)",
    "CREATE INDEX IF NOT EXISTS events_pending ON events (bucket) WHERE pending = 1",
    """CREATE TABLE IF NOT EXISTS rollups (
        level TEXT NOT NULL, series TEXT NOT NULL, start TEXT NOT NULL, version BIGINT NOT NULL, data TEXT,
        PRIMARY KEY (level, series, start))""",
    "CREATE INDEX IF NOT EXISTS rollups_by_start ON rollups (level, start)",
    """CREATE TABLE IF NOT EXISTS anomalies (
        series TEXT NOT NULL, start TEXT NOT NULL, name TEXT NOT NULL, data TEXT NOT NULL,
        PRIMARY KEY (series, start, name))""",
)

COLUMNS = ("source", "key", "revision", "type", "stream", "metric", "tags", "window_start", "window_end", "bucket", "pending", "data")
# A retired window keeps its hour, which has to be computed anew without it.
KEPT = ("type", "stream", "metric", "tags", "window_start", "window_end", "bucket")
UPSERT = f"""
    INSERT INTO events ({", ".join(COLUMNS)}) VALUES ({", ".join("?" for _ in COLUMNS)})
    ON CONFLICT (source, key) DO UPDATE SET
        revision = excluded.revision, data = excluded.data,
        {", ".join(f"{name} = COALESCE(excluded.{name}, events.{name})" for name in KEPT)},
        pending = CASE WHEN COALESCE(excluded.bucket, events.bucket) IS NULL THEN 0 ELSE 1 END
    WHERE excluded.revision > events.revision"""

KEEP_ANOMALY = """INSERT INTO anomalies (series, start, name, data) VALUES (?, ?, ?, ?)
    ON CONFLICT (series, start, name) DO UPDATE SET data = excluded.data"""


def row_of(event: Event) -> tuple:
    data = event.data
    window = data.get("window") if isinstance(data.get("window"), dict) else {}
    tags = json.dumps(data.get("tags", {}), ensure_ascii=False, sort_keys=True)
    return (event.source, event.key, event.revision, event.type, column(data.get("stream")), column(data.get("metric")), tags,
            column(window.get("start")), column(window.get("end")), event.bucket, int(event.bucket is not None), event.text)  # fmt: skip


def column(value) -> str | None:
    """These columns are for reading only; `data` has everything."""
    return value if is_text(value, KEY_BYTES_MAX) else None


def tombstone(source: str, key: str) -> tuple:
    return (source, key, RETIRED) + (None,) * 7 + (0, None)


class SqlStore:
    """One connection, used by one thread at a time: a function's instance that serves several requests at once waits here."""

    def __init__(self, connect, mark: str):
        self.connect, self.mark, self.connection = connect, mark, None
        self.lock = threading.Lock()

    def transaction(self, work, write: bool = True):
        """Runs `work(connection)` in one transaction. A connection that died while the function was frozen is opened anew, once;
        that is safe, because everything done here may be done again."""
        with self.lock:
            for fresh in (self.connection is None, True):
                try:
                    return self.attempt(work, write)
                except Exception:
                    self.drop()
                    if fresh:
                        raise

    def attempt(self, work, write: bool):
        if self.connection is None:
            self.connection = self.connect()
        if write and isinstance(self.connection, sqlite3.Connection):
            # At once as a writer: a reader that turns into one later can be refused instead of waiting.
            self.connection.execute("BEGIN IMMEDIATE")
        result = work(self.connection)
        self.connection.commit()
        return result

    def drop(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            # Closing gives up what was not committed.
            with contextlib.suppress(Exception):
                connection.close()

    def close(self) -> None:
        with self.lock:
            self.drop()

    def sql(self, text: str) -> str:
        return text.replace("?", self.mark)

    def all(self, text: str, arguments=()) -> list:
        return self.transaction(lambda connection: connection.execute(self.sql(text), arguments).fetchall(), write=False)

    def put(self, events: list) -> Outcome:
        """Stores events and retires what they replace, whatever order they come in and however often."""
        rows = {}
        keep = [row_of(event) for event in events]
        retire = [tombstone(event.source, key) for event in events for key in event.replaces]
        for row in keep + retire:
            known = rows.get(row[:2])
            if known is None or row[2] > known[2]:
                rows[row[:2]] = row
        # In one order everywhere: two batches that share keys wait for each other instead of dead-locking.
        rows = [rows[name] for name in sorted(rows)]

        def write(connection):
            with pipeline(connection):
                done = [connection.execute(self.sql(UPSERT), row) for row in rows]
            return [cursor.rowcount for cursor in done]

        outcome = Outcome()
        for row, changed in zip(rows, self.transaction(write)):
            if row[2] == RETIRED:
                outcome.retired += changed
            else:
                outcome.stored += changed
        outcome.stale = len(events) - outcome.stored
        return outcome

    def rows(self, source: str | None = None) -> list:
        """What counts: all events whose keys are not retired."""
        found = self.all("SELECT source, key, revision, data FROM events WHERE revision < ? ORDER BY source, key", (RETIRED,))
        return [Row(*row[:3], json.loads(row[3])) for row in found if source in (None, row[0])]

    def pending(self) -> list:
        """Buckets (summary and hour) with windows that no roll-up has seen."""
        return [row[0] for row in self.all("SELECT DISTINCT bucket FROM events WHERE pending = 1 ORDER BY bucket")]

    def bucket(self, bucket: str) -> list:
        """All windows of a bucket, the retired ones too."""
        found = self.all("SELECT source, key, revision, data FROM events WHERE bucket = ? ORDER BY source, key", (bucket,))
        return [Row(*row[:3], row[3] and json.loads(row[3])) for row in found]

    def settle(self, rows: list) -> None:
        """These are rolled up, unless they have changed since they were read."""
        text = self.sql("UPDATE events SET pending = 0 WHERE source = ? AND key = ? AND revision = ? AND pending = 1")
        settled = sorted((row.source, row.key, row.revision) for row in rows)
        if settled:
            self.transaction(lambda connection: connection.cursor().executemany(text, settled) and None)

    def rollup(self, level: str, series: str, start: str) -> Rollup | None:
        text = "SELECT level, series, start, version, data FROM rollups WHERE level = ? AND series = ? AND start = ?"
        found = self.all(text, (level, series, start))
        return rollup_of(found[0]) if found else None

    def history(self, level: str, series: str, start: str, end: str) -> list:
        """Those of one series that begin from `start` to before `end`."""
        text = """SELECT level, series, start, version, data FROM rollups
                  WHERE level = ? AND series = ? AND start >= ? AND start < ? ORDER BY start"""
        return [rollup_of(row) for row in self.all(text, (level, series, start, end))]

    def rollups(self, level: str, start: str, end: str) -> list:
        """Those that begin from `start` to before `end`."""
        text = """SELECT level, series, start, version, data FROM rollups
                  WHERE level = ? AND start >= ? AND start < ? ORDER BY series, start"""
        return [rollup_of(row) for row in self.all(text, (level, start, end))]

    def put_rollup(self, new: Rollup) -> bool:
        """Writes the next version. False: another run has written since; read again what it is computed from."""
        text = """INSERT INTO rollups (level, series, start, version, data) VALUES (?, ?, ?, ?, ?)
                  ON CONFLICT (level, series, start) DO UPDATE SET version = excluded.version, data = excluded.data
                  WHERE rollups.version = excluded.version - 1"""
        row = (new.level, new.series, new.start, new.version, None if new.data is None else json.dumps(new.data, ensure_ascii=False))
        return self.transaction(lambda connection: connection.execute(self.sql(text), row).rowcount) == 1

    def put_anomalies(self, series: str, start: str, found: dict) -> None:
        """What is unusual about an hour, by name; replaces what was said of it before."""
        rows = [(series, start, name, json.dumps(data, ensure_ascii=False)) for name, data in sorted(found.items())]

        def write(connection):
            connection.execute(self.sql("DELETE FROM anomalies WHERE series = ? AND start = ?"), (series, start))
            for row in rows:
                connection.execute(self.sql(KEEP_ANOMALY), row)

        self.transaction(write)

    def anomalies(self) -> list:
        return [json.loads(row[0]) for row in self.all("SELECT data FROM anomalies ORDER BY start, series, name")]


def rollup_of(row) -> Rollup:
    return Rollup(*row[:4], row[4] and json.loads(row[4]))


def pipeline(connection):
    """psycopg sends all statements before it waits for the first answer."""
    return connection.pipeline() if hasattr(connection, "pipeline") else contextlib.nullcontext()


def sqlite(path: str) -> SqlStore:
    def connect():
        connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous = FULL")
        for statement in SCHEMA:
            connection.execute(statement)
        return connection

    return SqlStore(connect, "?")


def postgresql(url: str) -> SqlStore:
    def connect():
        import psycopg

        connection = psycopg.connect(url, connect_timeout=10)
        # Instances that start at the same moment would create the same table twice.
        connection.execute("SELECT pg_advisory_xact_lock(7433)")
        for statement in SCHEMA:
            connection.execute(statement)
        connection.commit()
        return connection

    return SqlStore(connect, "%s")
