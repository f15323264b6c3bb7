"""Takes the events of one request into the store and says what became of them."""

from __future__ import annotations

import json
import logging

from . import event, request

log = logging.getLogger("tidegate")


def ingest(items: list, store) -> dict:
    """Stores what is good, and names what is not as docs/events.md wants it. Raises what the store raises when nothing was stored
    for sure: then everything is to be sent again, which does no harm."""
    arrived = event.read(items)
    outcome = store.put(arrived.events) if arrived.events else None
    return {
        "stored": outcome.stored if outcome else 0,
        "stale": outcome.stale if outcome else 0,
        "retired": outcome.retired if outcome else 0,
        "ignored": arrived.ignored,
        "failed": arrived.failed + (outcome.failed if outcome else []),
    }


def answer(raw: bytes, headers, store) -> tuple[int, dict]:
    """Status and JSON body for an HTTP request."""
    try:
        return 200, ingest(request.items_of(raw, headers), store)
    except request.Unreadable as problem:
        return problem.status, {"error": str(problem)}
    except event.Malformed as problem:
        return 400, {"error": str(problem)}
    except Exception:  # Whatever the store's driver raises: the gateway keeps the events and sends them again.
        # Not in the answer: what a driver says may hold the address of the database.
        log.exception("the store took nothing")
        return 503, {"error": "the store took nothing; the function's log says why"}


def text(outcome: dict) -> str:
    return json.dumps(outcome)
