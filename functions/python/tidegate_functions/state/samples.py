"""Readings in order (kind 9) and for how long a condition held (kind 10 of docs/state.md)."""

from __future__ import annotations

import math

from .condition import Unknown, holds
from .numbers import Sum, add_i64, add_u64, finite, ratio, seconds
from .simple import Ends, State
from .wire import U64_MAX, Unreadable, total_order

NAN = math.nan


class Run:
    """What a stretch of readings amounts to. `ends`: the first and the last reading, each with its time."""

    def __init__(self, start, end, readings, ends, broken, known=0, area=None, increase=None):
        self.start, self.end, self.readings, self.ends, self.broken = start, end, readings, ends, broken
        self.known, self.area, self.increase = known, area or Sum(), increase or Sum()

    @classmethod
    def of(cls, time: int, value: float) -> Run:
        """Of one reading, or of a break (NaN): from here on the value is unknown."""
        gone = math.isnan(value)
        return cls(time, time, int(not gone), None if gone else ((time, value), (time, value)), gone)

    @classmethod
    def read(cls, reader) -> Run:
        start, end, readings = reader.i64(), reader.i64(), reader.u64()
        ends = reader.option(lambda: (reader.sample(), reader.sample()))
        return cls(start, end, readings, ends, reader.flag(), reader.i64(), Sum.read(reader), Sum.read(reader))

    def write(self, writer) -> None:
        writer.i64(self.start)
        writer.i64(self.end)
        writer.u64(self.readings)
        writer.option(self.ends, lambda ends: (writer.sample(ends[0]), writer.sample(ends[1])))
        writer.u8(self.broken)
        writer.i64(self.known)
        self.area.write(writer)
        self.increase.write(writer)

    def copy(self) -> Run:
        return Run(self.start, self.end, self.readings, self.ends, self.broken, self.known, self.area.copy(), self.increase.copy())

    def join(self, later: Run) -> None:
        if self.ends and not self.broken:
            micros = add_i64(max(later.start - self.end, 0), 0)
            self.known = add_i64(self.known, micros)
            self.area.add(self.ends[1][1] * seconds(micros))
        if self.ends and later.ends:
            last, first = self.ends[1][1], later.ends[0][1]
            self.increase.add(first if first < last else first - last)
        self.end = max(self.end, later.end)
        self.readings = add_u64(self.readings, later.readings)
        self.ends = (self.ends[0], later.ends[1]) if self.ends and later.ends else self.ends or later.ends
        self.broken = later.broken
        self.known = add_i64(self.known, later.known)
        self.area.merge(later.area)
        self.increase.merge(later.increase)

    def value(self, name: str) -> float | None:
        """Per second, where it is per something."""
        lasted = seconds(self.ends[1][0] - self.ends[0][0]) if self.ends else 0.0
        if name in ("integral", "time_weighted_mean"):
            area = self.area.get() if self.known > 0 else None
            return area if name == "integral" or area is None else ratio(area, seconds(self.known))
        if name == "derivative":
            return ratio(self.ends[1][1] - self.ends[0][1], lasted) if lasted > 0 else None
        grown = self.increase.get() if self.readings > 1 else None
        if name == "increase" or grown is None:
            return grown
        return ratio(grown, lasted) if lasted > 0 else None


class Samples(State):
    """`settled`: a run, or None. `marks`: (time, value) behind it, in order; NaN is a break."""

    kind = 9

    def __init__(self, reader):
        self.max, self.misplaced = reader.u32(), reader.u64()
        self.settled = reader.option(lambda: Run.read(reader))
        time, self.marks = 0, []
        for delta, value in reader.list(reader.sample):
            time = wrapped(time + delta)
            self.marks.append((time, value))
        if any(order(a) > order(b) for a, b in zip(self.marks, self.marks[1:])):
            raise Unreadable("the samples are not in the order of their times")

    def write(self, writer) -> None:
        writer.u32(self.max)
        writer.u64(self.misplaced)
        writer.option(self.settled, lambda run: run.write(writer))
        before, deltas = 0, []
        for time, value in self.marks:
            deltas.append((wrapped(time - before), value))
            before = time
        writer.list(deltas, writer.sample)

    def merge(self, other: Samples) -> None:
        """Joins all in order of time. Where both have settled the same time, the run of fewer readings has no place."""
        self.max = max(self.max, other.max)
        self.misplaced = add_u64(self.misplaced, other.misplaced)
        self.marks = sorted(self.marks + other.marks, key=order)
        runs = sorted((run for run in (self.settled, other.settled) if run), key=lambda run: run.start)
        if len(runs) == 2 and runs[1].start <= runs[0].end:
            fewer = runs.pop(int(runs[1].readings <= runs[0].readings))
            self.misplaced = add_u64(self.misplaced, fewer.readings)
        if runs:
            self.place_between(runs)
        self.settle()

    def place_between(self, runs: list) -> None:
        """Settles the marks before and between the runs; what lies inside one has no place."""
        early = [mark for mark in self.marks if mark[0] <= runs[-1].end]
        self.marks = self.marks[len(early) :]
        whole, at = None, 0
        for run in runs:
            while at < len(early) and early[at][0] < run.start:
                whole = joined(whole, Run.of(*early[at]))
                at += 1
            while at < len(early) and early[at][0] <= run.end:
                self.misplaced = add_u64(self.misplaced, 1)
                at += 1
            whole = joined(whole, run)
        self.settled = whole

    def settle(self) -> None:
        """The older half, where there are too many, up to a change of time."""
        while len(self.marks) > self.max:
            middle = self.marks[len(self.marks) // 2][0]
            upto = sum(time < middle for time, _ in self.marks) or sum(time <= middle for time, _ in self.marks)
            for mark in self.marks[:upto]:
                self.settled = joined(self.settled, Run.of(*mark))
            self.marks = self.marks[upto:]

    @property
    def approximate(self) -> bool:
        return self.misplaced > 0

    def whole(self, start: int, end: int, opening: tuple | None) -> Run | None:
        """Everything from the window's start to its end; the reading before it counts from the start."""
        whole = None
        if opening:
            whole = Run.of(start, opening[1])
            whole.ends = (opening, opening)
        for run in ([self.settled] if self.settled else []) + [Run.of(*mark) for mark in self.marks]:
            whole = joined(whole, run)
        return whole and joined(whole, Run.of(end, NAN))


class Held(State):
    """Kind 10: 1 while the condition held and 0 while it did not, in the order of time."""

    kind = 10

    def __init__(self, reader):
        self.condition, self.tags = reader.text(), reader.list(reader.text)
        self.ends, self.samples = Ends(reader), Samples(reader)

    def like(self, other: Held) -> bool:
        return (self.condition, self.tags) == (other.condition, other.tags)

    def write(self, writer) -> None:
        writer.text(self.condition)
        writer.list(self.tags, writer.text)
        self.ends.write(writer)
        self.samples.write(writer)

    def merge(self, other: Held) -> None:
        self.ends.merge(other.ends)
        self.samples.merge(other.samples)

    @property
    def approximate(self) -> bool:
        return self.samples.approximate

    def held(self, start: int, end: int, opening: tuple | None) -> float | None:
        """Seconds. None also where this library cannot say whether the reading before the window fulfilled the condition."""
        if opening:
            try:
                opening = (opening[0], float(holds(self.condition, opening[1])))
            except ZeroDivisionError:
                opening = None
            except Unknown:
                return None
        whole = self.samples.whole(start, end, opening)
        return finite(whole.value("integral")) if whole else None


def joined(whole: Run | None, later: Run) -> Run:
    if whole is None:
        return later.copy()
    whole.join(later)
    return whole


def order(mark: tuple) -> tuple:
    """By time; of several at one time breaks come first."""
    time, value = mark
    return (time, not math.isnan(value), 0 if math.isnan(value) else total_order(value))


def wrapped(value: int) -> int:
    """As 64 bits with a sign hold it."""
    value &= U64_MAX
    return value - (1 << 64) if value >> 63 else value
