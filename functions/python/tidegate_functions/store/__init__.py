"""Where events are kept. One rule everywhere: per (source, key) the highest revision wins, and a retired key has the highest of all."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, field


@dataclass
class Outcome:
    """What became of the events that were put. `stale`: at least as new a revision was there, or the key is retired."""

    stored: int = 0
    stale: int = 0
    retired: int = 0
    failed: list = field(default_factory=list)


@dataclass(frozen=True)
class Row:
    """A stored window. `data` is None where its key is retired."""

    source: str
    key: str
    revision: int
    data: dict | None


@dataclass(frozen=True)
class Rollup:
    """An hour or a day of a series. `data` is None where nothing is left of it. `version` rises with every write."""

    level: str
    series: str
    start: str
    version: int
    data: dict | None


def open_store(url: str | None = None):
    """`sqlite:///path/to/file`, `postgresql://…`, or `dynamodb://TABLE` with `?endpoint=http://…` for a local one. Without an
    argument that is the environment variable `TIDEGATE_STORE`."""
    url = url or os.environ.get("TIDEGATE_STORE", "")
    kind, _, rest = url.partition("://")
    if kind == "sqlite" and rest.startswith("/") and len(rest) > 1:
        from .sql import sqlite

        return sqlite(rest[1:])
    if kind in ("postgresql", "postgres"):
        from .sql import postgresql

        return postgresql(url)
    if kind == "dynamodb" and rest:
        from .dynamodb import from_url

        return from_url(rest)
    raise ValueError("TIDEGATE_STORE is sqlite:///FILE, postgresql://USER@HOST/DATABASE or dynamodb://TABLE")


@functools.lru_cache(maxsize=None)
def shared_store():
    """The store of this instance of a function, opened by its first request."""
    return open_store()
