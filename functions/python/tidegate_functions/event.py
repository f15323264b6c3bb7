"""What a gateway sends, checked (docs/events.md)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime

SUMMARY = "tidegate.summary.v1"
KNOWN_TYPES = (SUMMARY, "tidegate.alert.v1", "tidegate.capture.v1", "tidegate.raw.v1", "tidegate.heartbeat.v1")

# The revision of a retired key: above every real one, so that "the highest revision wins" is the only rule a store needs.
# It is the greatest whole number that JSON readers of every language keep exactly (RFC 8259, section 6).
RETIRED = 2**53 - 1

# What DynamoDB allows in a partition key and in a sort key; the other stores follow it, so that none keeps more than another.
SOURCE_BYTES_MAX = 2048
KEY_BYTES_MAX = 1024
REPLACES_MAX = 10_000

# As gateways write moments: UTC, as many decimals as needed.
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z")


class Malformed(ValueError):
    """This event will be no better next time."""


@dataclass(frozen=True)
class Event:
    """One event of a known type."""

    id: str
    source: str
    type: str
    key: str
    revision: int
    replaces: tuple
    data: dict
    # The data as JSON, the same for the same data.
    text: str

    @property
    def bucket(self) -> str | None:
        """The summary and the hour that this window counts for; None for what has no mergeable state or no sure time."""
        if self.type != SUMMARY or "state" not in self.data or self.data.get("clock") != "synchronised":
            return None
        start = self.data["window"]["start"]
        return f"{self.data['summary']}/{start[:13]}" if is_moment(start) else None


@dataclass
class Arrived:
    """What was in one request."""

    events: list = field(default_factory=list)
    failed: list = field(default_factory=list)
    ignored: int = 0


def read(items: list) -> Arrived:
    """Checks every event of a request. Raises `Malformed` where one is so broken that the answer cannot even name it."""
    arrived = Arrived()
    for item in items:
        try:
            event = check(item)
        except Malformed as problem:
            name = item.get("id") if isinstance(item, dict) else None
            if not (isinstance(name, str) and name):
                raise
            arrived.failed.append({"id": name, "retry": False, "reason": str(problem)})
            continue
        if event is None:
            arrived.ignored += 1
        else:
            arrived.events.append(event)
    return arrived


def check(item: object) -> Event | None:
    """One CloudEvent. None: its type is not known here, which is no error."""
    need(isinstance(item, dict), "an event is a JSON object")
    need(item.get("specversion") == "1.0", "specversion is 1.0")
    name, source, kind, data = (item.get(part) for part in ("id", "source", "type", "data"))
    need(isinstance(name, str) and name, "an event has an id")
    need(isinstance(kind, str) and kind, "an event has a type")
    need(is_text(source, SOURCE_BYTES_MAX) and source.startswith("/"), "source is a path of at most 2,048 bytes")
    if kind not in KNOWN_TYPES:
        return None
    need(isinstance(data, dict), "data is a JSON object")
    need(is_text(data.get("key"), KEY_BYTES_MAX), "data.key is a text of at most 1,024 bytes")
    revision = data.get("revision")
    need(type(revision) is int and 0 <= revision < RETIRED, "data.revision is a whole number from 0")
    replaces = data.get("replaces", [])
    need(isinstance(replaces, list) and len(replaces) <= REPLACES_MAX, "data.replaces is a list")
    need(all(is_text(key, KEY_BYTES_MAX) for key in replaces), "data.replaces holds keys")
    if kind == SUMMARY:
        check_summary(data)
    retires = tuple(dict.fromkeys(key for key in replaces if key != data["key"]))
    return Event(name, source, kind, data["key"], revision, retires, data, text_of(data))


def text_of(data: dict) -> str:
    try:
        text = json.dumps(data, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
        text.encode("utf-8")
    except (ValueError, RecursionError):
        # 1e999, half of a surrogate pair, a thousand brackets: no store could give it back.
        raise Malformed("data holds what JSON in UTF-8 cannot") from None
    return text


def check_summary(data: dict) -> None:
    need(is_text(data.get("summary"), KEY_BYTES_MAX), "data.summary is a text")
    window = data.get("window")
    need(isinstance(window, dict), "data.window is an object")
    for edge in ("start", "end"):
        need(is_text(window.get(edge), 64), f"data.window.{edge} is a time")
    need(isinstance(data.get("values", {}), dict), "data.values is an object")


def is_text(value: object, longest: int) -> bool:
    try:
        return isinstance(value, str) and 0 < len(value.encode("utf-8")) <= longest and "\0" not in value
    except UnicodeEncodeError:
        return False


def is_moment(text: str) -> bool:
    try:
        return bool(MOMENT.fullmatch(text) and datetime.fromisoformat(text[:19]))
    except ValueError:
        return False


def need(holds: object, what: str) -> None:
    if not holds:
        raise Malformed(what)
