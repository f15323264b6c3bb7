"""States of a few numbers: kinds 0 to 3, 7 and 8 of docs/state.md."""

from __future__ import annotations

import math

from .numbers import Sum, add_u64, finite, ratio, seconds
from .wire import Unreadable, total_order


class State:
    """What a kind does. `like`: whether two can merge, beside being of one kind. `approximate`: whether its values are further from the
    truth than the reference says of ordinary windows."""

    approximate = False

    def like(self, other: State) -> bool:
        return True


class Moments(State):
    """Kind 0. Merged after Chan, Golub and LeVeque (1979)."""

    kind = 0

    def __init__(self, reader):
        self.count, self.sum = reader.u64(), Sum.read(reader)
        self.mean_so_far, self.squares = reader.f64(), reader.f64()

    def write(self, writer) -> None:
        writer.u64(self.count)
        self.sum.write(writer)
        writer.f64(self.mean_so_far)
        writer.f64(self.squares)

    def merge(self, other: Moments) -> None:
        if other.count == 0:
            return
        if self.count == 0:
            self.count, self.sum = other.count, other.sum.copy()
            self.mean_so_far, self.squares = other.mean_so_far, other.squares
            return
        n, m = float(self.count), float(other.count)
        delta = other.mean_so_far - self.mean_so_far
        self.mean_so_far += delta * m / (n + m)
        self.squares += other.squares + delta * delta * n * m / (n + m)
        self.count = add_u64(self.count, other.count)
        self.sum.merge(other.sum)

    def value(self, name: str) -> float | int | None:
        if name == "count":
            return self.count
        if self.count == 0:
            return None
        if name == "sum":
            return self.sum.get()
        if name == "mean":
            total = self.sum.get()
            return total / self.count if total is not None else finite(self.mean_so_far)
        variance = finite(self.squares / (self.count - 1.0)) if self.count > 1 else None
        if name == "stddev" and variance is not None:
            # Below 0 it is only in a state that no gateway made.
            return math.sqrt(variance) if variance >= 0 else None
        return variance


class Extremes(State):
    """Kind 1."""

    kind = 1

    def __init__(self, reader):
        self.ends = reader.option(lambda: (reader.f64(), reader.f64()))

    def write(self, writer) -> None:
        writer.option(self.ends, lambda ends: (writer.f64(ends[0]), writer.f64(ends[1])))

    def merge(self, other: Extremes) -> None:
        if self.ends and other.ends:
            self.ends = (min(self.ends[0], other.ends[0]), max(self.ends[1], other.ends[1]))
        else:
            self.ends = self.ends or other.ends

    def value(self, name: str) -> float | None:
        if self.ends is None:
            return None
        least, greatest = self.ends
        return finite({"min": least, "max": greatest, "range": greatest - least}[name])


class Ends(State):
    """Kind 2."""

    kind = 2

    def __init__(self, reader):
        self.ends = reader.option(lambda: (reader.sample(), reader.sample()))

    def write(self, writer) -> None:
        writer.option(self.ends, lambda ends: (writer.sample(ends[0]), writer.sample(ends[1])))

    def merge(self, other: Ends) -> None:
        if self.ends and other.ends:
            place = lambda sample: (sample[0], total_order(sample[1]))  # noqa: E731
            # Of equal ones ours: they are the same to the bit.
            self.ends = (min(self.ends[0], other.ends[0], key=place), max(self.ends[1], other.ends[1], key=place))
        else:
            self.ends = self.ends or other.ends

    def value(self, name: str) -> float | None:
        if self.ends is None:
            return None
        return finite(self.ends[name == "last"][1])


class Peaks(State):
    """Kind 3: value and time of the least, then of the greatest. Of equal values the earlier counts."""

    kind = 3

    def __init__(self, reader):
        self.peaks = reader.option(lambda: tuple((reader.f64(), reader.i64()) for _ in range(2)))

    def write(self, writer) -> None:
        def each(peaks):
            for value, time in peaks:
                writer.f64(value)
                writer.i64(time)

        writer.option(self.peaks, each)

    def merge(self, other: Peaks) -> None:
        if self.peaks and other.peaks:
            (low, low_at), (high, high_at) = other.peaks
            least, greatest = self.peaks
            if low < least[0] or (low == least[0] and low_at < least[1]):
                least = (low, low_at)
            if high > greatest[0] or (high == greatest[0] and high_at < greatest[1]):
                greatest = (high, high_at)
            self.peaks = (least, greatest)
        else:
            self.peaks = self.peaks or other.peaks

    def value(self, name: str) -> int | None:
        """Microseconds since 1970."""
        return self.peaks and self.peaks[name == "time_of_max"][1]


class Histogram(State):
    """Kind 7: each bucket has its upper bound; the last is beyond all of them."""

    kind = 7

    def __init__(self, reader):
        self.bounds, self.counts = reader.list(reader.f64), reader.list(reader.u64)
        rising = all(a < b for a, b in zip(self.bounds, self.bounds[1:])) and all(map(math.isfinite, self.bounds))
        if not rising or len(self.counts) != len(self.bounds) + 1:
            raise Unreadable("a histogram has rising bounds, and one count more than bounds")

    def like(self, other: Histogram) -> bool:
        return self.bounds == other.bounds

    def write(self, writer) -> None:
        writer.list(self.bounds, writer.f64)
        writer.list(self.counts, writer.u64)

    def merge(self, other: Histogram) -> None:
        self.counts = [add_u64(one, more) for one, more in zip(self.counts, other.counts)]

    def value(self, name: str) -> dict:
        return {"bounds": list(self.bounds), "counts": list(self.counts)}


class Slope(State):
    """Kind 8: co-moments of time and value (P. Pébay, SAND2008-6212, equations 3.1 to 3.7)."""

    kind = 8

    def __init__(self, reader):
        self.origin, self.count = reader.i64(), reader.u64()
        self.time, self.level, self.times, self.products = (reader.f64() for _ in range(4))

    def write(self, writer) -> None:
        writer.i64(self.origin)
        writer.u64(self.count)
        for value in (self.time, self.level, self.times, self.products):
            writer.f64(value)

    def merge(self, other: Slope) -> None:
        if other.count == 0:
            return
        if self.count == 0:
            self.__dict__.update(other.__dict__)
            return
        n, m = float(self.count), float(other.count)
        time = seconds(other.origin - self.origin) + other.time - self.time
        level = other.level - self.level
        share, both = m / (n + m), n * m / (n + m)
        self.count = add_u64(self.count, other.count)
        self.time += time * share
        self.level += level * share
        self.times += other.times + time * time * both
        self.products += other.products + time * level * both

    def value(self, name: str) -> float | None:
        """Per second."""
        return ratio(self.products, self.times) if self.times > 0 else None
