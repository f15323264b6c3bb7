"""Percentiles: kind 4 of docs/state.md. A DDSketch (C. Masson and others, VLDB 2019) that joins buckets in pairs (UDDSketch, 2020)."""

from __future__ import annotations

import math
from bisect import insort

from .numbers import add_u32, finite
from .simple import State
from .wire import Unreadable, bits, from_bits

EXACT_MAX, BUCKETS_MAX, LEVEL_MAX = 64, 320, 10
OFFSET, PER_OCTAVE = 1 << 17, 64


class Sketch(State):
    """`few`: the readings, rising; or None, and `counts` by bucket."""

    kind = 4

    def __init__(self, reader):
        if reader.u32_variant(2) == 0:
            self.few = reader.list(reader.f64, EXACT_MAX)
            if not all(map(math.isfinite, self.few)) or any(a > b for a, b in zip(self.few, self.few[1:])):
                raise Unreadable("the values of a sketch rise")
            return
        self.few, self.level, self.min, self.max = None, reader.u8(), reader.f64(), reader.f64()
        listed = reader.list(lambda: (reader.i32(), reader.u32()), BUCKETS_MAX)
        rising = all(a[0] < b[0] for a, b in zip(listed, listed[1:]))
        if not (listed and rising and self.level <= LEVEL_MAX and all(self.is_possible(*pair) for pair in listed)):
            raise Unreadable("these are not the buckets of a sketch")
        if not (math.isfinite(self.min) and math.isfinite(self.max) and self.min <= self.max):
            raise Unreadable("the least value of a sketch is above its greatest")
        self.counts = dict(listed)

    def is_possible(self, bucket: int, count: int) -> bool:
        place = abs(bucket)
        return count > 0 and (place == 0 or OFFSET >> self.level <= place <= 2 * OFFSET >> self.level)

    def write(self, writer) -> None:
        writer.u32(self.few is None)
        if self.few is not None:
            return writer.list(self.few, writer.f64)
        writer.u8(self.level)
        writer.f64(self.min)
        writer.f64(self.max)
        writer.list(sorted(self.counts.items()), lambda pair: (writer.i32(pair[0]), writer.u32(pair[1])))

    def merge(self, other: Sketch) -> None:
        if other.few is not None:
            for value in other.few:
                self.fold(value)
        elif self.few is not None:
            values, self.few = self.few, None
            self.level, self.min, self.max, self.counts = other.level, other.min, other.max, dict(other.counts)
            for value in values:
                self.fold(value)
        else:
            self.min, self.max = min(self.min, other.min), max(self.max, other.max)
            while self.level < other.level:
                self.join()
            for bucket, count in sorted(other.counts.items()):
                self.add(joined(bucket, self.level - other.level), count)

    def fold(self, value: float) -> None:
        if self.few is None:
            self.min, self.max = min(self.min, value), max(self.max, value)
            return self.add(joined(bucket_of(value), self.level), 1)
        insort(self.few, value)
        if len(self.few) > EXACT_MAX:
            values, self.few = self.few, None
            self.level, self.min, self.max, self.counts = 0, values[0], values[0], {}
            for each in values:
                self.fold(each)

    def add(self, bucket: int, count: int) -> None:
        self.counts[bucket] = add_u32(self.counts.get(bucket, 0), count)
        while len(self.counts) > BUCKETS_MAX:
            self.join()

    def join(self) -> None:
        self.level += 1
        before, self.counts = self.counts, {}
        for bucket, count in sorted(before.items()):
            place = joined(bucket, 1)
            self.counts[place] = add_u32(self.counts.get(place, 0), count)

    @property
    def approximate(self) -> bool:
        return self.few is None and self.level > 0

    def quantile(self, q: float) -> float | None:
        """Between the two readings beside it (R. Hyndman and Y. Fan, The American Statistician 50, 1996, definition 7)."""
        count = len(self.few) if self.few is not None else sum(self.counts.values())
        if count == 0:
            return None
        place = q * (count - 1)
        rank, share = int(place), place % 1.0
        low, high = self.at(rank, count - 1), self.at(min(rank + 1, count - 1), count - 1)
        return finite(low * (1.0 - share) + high * share)

    def at(self, rank: int, last: int) -> float:
        if self.few is not None:
            return self.few[rank]
        if rank == 0:
            return self.min
        if rank == last:
            return self.max
        seen = 0
        for bucket, count in sorted(self.counts.items()):
            seen += count
            if seen > rank:
                return min(max(middle(bucket, self.level), self.min), self.max)
        return self.max

    def value(self, name: str) -> float | None:
        """`median`, `p95`, `p99.9`."""
        return self.quantile(0.5 if name == "median" else round(float(name[1:]) * 10) / 1000.0)


def bucket_of(value: float) -> int:
    raw = bits(abs(value))
    octave = raw >> 52
    if octave == 0:
        return 0
    s = from_bits(raw & ((1 << 52) - 1) | bits(1.0)) - 1.0
    within = min(int(s * (4.0 - s) / 3.0 * PER_OCTAVE), PER_OCTAVE - 1)
    bucket = OFFSET + octave * PER_OCTAVE + within
    return -bucket if value < 0.0 else bucket


def joined(bucket: int, levels: int) -> int:
    return -(-bucket >> levels) if bucket < 0 else bucket >> levels


def middle(bucket: int, level: int) -> float:
    """The value whose relative distance to both bounds is the same."""
    place = abs(bucket)
    low, high = bound(place << level), bound((place + 1) << level)
    if bucket == 0 or low == 0.0:
        return 0.0
    found = low * (2.0 / (1.0 + low / high))
    return -found if bucket < 0 else found


def bound(bucket: int) -> float:
    place = min(max(bucket - OFFSET, 0), 2047 * PER_OCTAVE)
    g = (place % PER_OCTAVE) / PER_OCTAVE
    return from_bits((place // PER_OCTAVE) << 52) * (3.0 - math.sqrt(4.0 - 3.0 * g))

