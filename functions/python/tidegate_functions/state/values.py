"""How many different values (kind 5), and which came most often (kind 6 of docs/state.md)."""

from __future__ import annotations

import math

from .numbers import add_u64
from .simple import State
from .wire import U64_MAX, Unreadable, total_order

DISTINCT_EXACT_MAX, REGISTERS, REST_BITS = 128, 1024, 54
MODE_VALUES_MAX = 64


class Distinct(State):
    """`few`: the bits of the values; or None, and the registers of a HyperLogLog."""

    kind = 5

    def __init__(self, reader):
        if reader.u32_variant(2) == 0:
            listed = reader.list(reader.u64, DISTINCT_EXACT_MAX)
            if any(a >= b for a, b in zip(listed, listed[1:])):
                raise Unreadable("different values rise")
            self.few, self.registers = set(listed), None
            return
        self.few, self.registers = None, bytearray(reader.list(reader.u8, REGISTERS))
        if len(self.registers) != REGISTERS or max(self.registers) > REST_BITS + 1:
            raise Unreadable("a HyperLogLog has 1,024 registers of at most 55")

    def write(self, writer) -> None:
        writer.u32(self.few is None)
        if self.few is not None:
            writer.list(sorted(self.few), writer.u64)
        else:
            writer.list(self.registers, writer.u8)

    def merge(self, other: Distinct) -> None:
        if other.few is not None and self.few is not None:
            self.few |= other.few
            if len(self.few) > DISTINCT_EXACT_MAX:
                self.widen()
            return
        self.widen()
        if other.few is not None:
            for value in other.few:
                self.note(value)
        else:
            self.registers = bytearray(map(max, self.registers, other.registers))

    def widen(self) -> None:
        if self.few is not None:
            values, self.few, self.registers = self.few, None, bytearray(REGISTERS)
            for value in values:
                self.note(value)

    def note(self, value: int) -> None:
        hashed = xxh3(value)
        rest = hashed & ((1 << REST_BITS) - 1)
        index, rank = hashed >> REST_BITS, REST_BITS - rest.bit_length() + 1
        self.registers[index] = max(self.registers[index], rank)

    @property
    def approximate(self) -> bool:
        return self.few is None

    def value(self, name: str) -> int:
        return len(self.few) if self.few is not None else estimate(self.registers)


def xxh3(value: int) -> int:
    """XXH3, 64 bits, no seed, of eight bytes (XXH3 specification, "Small inputs", lengths 4 to 8)."""
    rotate = lambda x, by: (x << by | x >> (64 - by)) & U64_MAX  # noqa: E731
    prime = 0x9FB21C651E98DF25
    # The bytes 8 to 23 of the algorithm's secret, as two numbers that are combined.
    flip = 0x1CAD21F72C81017C ^ 0xDB979083E96DD4DE
    # The last four bytes of the input, and above them the first four.
    swapped = value >> 32 | (value & 0xFFFFFFFF) << 32
    x = swapped ^ flip
    x ^= rotate(x, 49) ^ rotate(x, 24)
    x = x * prime & U64_MAX
    x ^= (x >> 35) + 8
    x = x * prime & U64_MAX
    return x ^ x >> 28


def estimate(registers: bytearray) -> int:
    """The improved estimator of O. Ertl (arXiv:1702.01284, algorithm 6)."""
    m, last = float(REGISTERS), REST_BITS + 1
    counts = [0.0] * (last + 1)
    for rank in registers:
        counts[rank] += 1.0
    z = m * tau(1.0 - counts[last] / m)
    for count in reversed(counts[1:last]):
        z = 0.5 * (z + count)
    z += m * sigma(counts[0] / m)
    # z is 0 only where all registers are at their end, which takes more values than there are.
    return min(math.floor(m * m / (2.0 * math.log(2.0) * z) + 0.5), U64_MAX) if z else U64_MAX


def sigma(x: float) -> float:
    if x == 1.0:
        return math.inf
    y, z, before = 1.0, x, None
    while z != before:
        x, before = x * x, z
        z += x * y
        y += y
    return z


def tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    y, z, before = 1.0, 1.0 - x, None
    while z != before:
        x, before, y = math.sqrt(x), z, y * 0.5
        z -= (1.0 - x) * (1.0 - x) * y
    return z / 3.0


class Mode(State):
    """Kind 6: counts after J. Misra and D. Gries (1982), merged after P. Agarwal and others (PODS 2012)."""

    kind = 6

    def __init__(self, reader):
        listed = reader.list(lambda: (reader.f64(), reader.u64()), MODE_VALUES_MAX)
        self.missed = reader.u64()
        values = [value for value, _ in listed]
        if not all(map(math.isfinite, values)) or any(a >= b for a, b in zip(values, values[1:])):
            raise Unreadable("the values of a mode rise")
        self.counts = dict(listed)

    def write(self, writer) -> None:
        writer.list(sorted(self.counts.items()), lambda pair: (writer.f64(pair[0]), writer.u64(pair[1])))
        writer.u64(self.missed)

    def merge(self, other: Mode) -> None:
        for value, count in other.counts.items():
            self.counts[value] = add_u64(self.counts.get(value, 0), count)
        self.missed = add_u64(self.missed, other.missed)
        if len(self.counts) > MODE_VALUES_MAX:
            taken = sorted(self.counts.values(), reverse=True)[MODE_VALUES_MAX]
            self.missed = add_u64(self.missed, taken)
            self.counts = {value: count - taken for value, count in self.counts.items() if count > taken}

    @property
    def approximate(self) -> bool:
        """Whether another value may have come as often."""
        first, second = (sorted(self.counts.values(), reverse=True) + [0, 0])[:2]
        return self.missed > 0 and first <= second + self.missed

    def value(self, name: str) -> float | None:
        """Of several the least."""
        return min(self.counts, key=lambda value: (-self.counts[value], total_order(value)), default=None)
