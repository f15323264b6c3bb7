"""A window with its content: the whole of docs/state.md."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime, timedelta, timezone

from .numbers import add_u32
from .samples import Held, Samples
from .simple import Ends, Extremes, Histogram, Moments, Peaks, Slope
from .sketch import Sketch
from .values import Distinct, Mode
from .wire import Reader, Unreadable, Writer

VERSION = 1
KINDS = (Moments, Extremes, Ends, Peaks, Sketch, Distinct, Mode, Histogram, Slope, Samples, Held)
COUNTS = ("received", "rejected", "duplicates", "late", "gaps", "backlog", "flagged", "offline")
BYTES_MAX = 16 * 1024 * 1024

# By aggregate the kind that knows it. Percentiles are beside them: `p95`, `p99.9`.
AGGREGATES = {
    **dict.fromkeys(("count", "sum", "mean", "stddev", "variance"), Moments),
    **dict.fromkeys(("min", "max", "range"), Extremes),
    **dict.fromkeys(("first", "last"), Ends),
    **dict.fromkeys(("time_of_min", "time_of_max"), Peaks),
    **dict.fromkeys(("time_weighted_mean", "integral", "increase", "rate", "derivative"), Samples),
    "median": Sketch, "distinct": Distinct, "mode": Mode, "histogram": Histogram, "slope": Slope, "duration_in": Held,
}  # fmt: skip


class Lane:
    """What is kept of one metric."""

    def __init__(self, metric: str, opening: tuple | None, states: list):
        self.metric, self.opening, self.states = metric, opening, states
        self.start = self.end = 0

    def merge(self, other: Lane) -> None:
        """Only what both parts know is known of the whole."""
        if self.opening and other.opening:
            self.opening = other.opening if other.opening[0] < self.opening[0] else self.opening
        else:
            self.opening = self.opening or other.opening
        kept = []
        for state in self.states:
            like = next((found for found in other.states if found.kind == state.kind and state.like(found)), None)
            if like is not None:
                state.merge(like)
                kept.append(state)
        self.states = kept

    def state(self, name: str):
        """The one that an aggregate is computed from."""
        wanted = AGGREGATES.get(name) or (Sketch if is_percentile(name) else None)
        return next((state for state in self.states if isinstance(state, wanted)), None) if wanted else None

    def approximate(self, name: str) -> bool:
        """Whether a value is further from the truth than the reference of aggregates says of ordinary windows."""
        state = self.state(name)
        return state is not None and state.approximate

    def value(self, name: str, per: float = 1.0):
        """An aggregate by its name in the configuration; None where it has no value or its state is not here. `per`: the seconds that
        `rate`, `derivative`, `slope` and `integral` are per. Times are RFC 3339, of several histograms or conditions it is the first."""
        state = self.state(name)
        if state is None:
            return None
        if isinstance(state, Held):
            return state.held(self.start, self.end, self.opening)
        if isinstance(state, Samples):
            whole = state.whole(self.start, self.end, self.opening)
            found = whole and whole.value(name)
        else:
            found = state.value(name)
        if found is None:
            return None
        if name in ("rate", "derivative", "slope"):
            return found * per
        if name == "integral":
            return found / per
        return rfc3339(found) if isinstance(state, Peaks) else found


class Partial:
    """`start` and `end` in microseconds since 1970; `completeness` as in events."""

    def __init__(self, start: int, end: int, completeness: dict, lanes: list):
        self.start, self.end, self.completeness, self.lanes = start, end, completeness, lanes
        self.tell_lanes()

    @classmethod
    def decode(cls, text: str) -> Partial:
        """Raises `Unreadable`."""
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError, TypeError):
            raise Unreadable("the state is not base64") from None
        if data[:1] != bytes([VERSION]):
            raise Unreadable(f"the state is of version {data[0] if data else None}, and only {VERSION} is known here")
        if len(data) > BYTES_MAX:
            raise Unreadable("the state is too long")
        reader = Reader(data)
        reader.u8()
        start, end = reader.i64(), reader.i64()
        completeness = {name: reader.u32() for name in COUNTS}
        return cls(start, end, completeness, reader.list(lambda: read_lane(reader)))

    def encode(self) -> str:
        writer = Writer()
        writer.u8(VERSION)
        writer.i64(self.start)
        writer.i64(self.end)
        for name in COUNTS:
            writer.u32(self.completeness[name])
        writer.list(sorted(self.lanes, key=lambda lane: lane.metric.encode()), lambda lane: write_lane(writer, lane))
        return base64.b64encode(bytes(writer.data)).decode()

    def lane(self, metric: str) -> Lane | None:
        return next((lane for lane in self.lanes if lane.metric == metric), None)

    def merge(self, other: Partial) -> None:
        """`other` is not to be used afterwards: what only it has is taken over."""
        self.start, self.end = min(self.start, other.start), max(self.end, other.end)
        self.completeness = {name: add_u32(self.completeness[name], other.completeness[name]) for name in COUNTS}
        for lane in other.lanes:
            known = self.lane(lane.metric)
            if known is None:
                self.lanes.append(lane)
            else:
                known.merge(lane)
        self.tell_lanes()

    def tell_lanes(self) -> None:
        for lane in self.lanes:
            lane.start, lane.end = self.start, self.end


def merged(states: list) -> Partial | None:
    """The whole of several `data.state`."""
    whole = None
    for text in states:
        part = Partial.decode(text)
        if whole is None:
            whole = part
        else:
            whole.merge(part)
    return whole


def read_lane(reader: Reader) -> Lane:
    def state():
        return KINDS[reader.u32_variant(len(KINDS))](reader)

    return Lane(reader.text(), reader.option(reader.sample), reader.list(state))


def write_lane(writer: Writer, lane: Lane) -> None:
    def write(state):
        writer.u32(state.kind)
        state.write(writer)

    writer.text(lane.metric)
    writer.option(lane.opening, writer.sample)
    writer.list(lane.states, write)


def is_percentile(name: str) -> bool:
    return name[:1] == "p" and name[1:].replace(".", "", 1).isdigit()


def rfc3339(micros: int) -> str:
    at = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=micros)
    text = at.strftime("%Y-%m-%dT%H:%M:%S")
    return text + (f".{at.microsecond:06}".rstrip("0") if at.microsecond else "") + "Z"
