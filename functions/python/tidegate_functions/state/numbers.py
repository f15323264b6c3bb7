"""Sums that do not drift, and small sums of whole numbers that stay where they end."""

from __future__ import annotations

import math

from .wire import U32_MAX, U64_MAX

I64_MAX = 2**63 - 1


class Sum:
    """Compensated after Neumaier (ZAMM 54, 1974)."""

    def __init__(self, total: float = 0.0, lost: float = 0.0):
        self.total, self.lost = total, lost

    @classmethod
    def read(cls, reader) -> Sum:
        return cls(reader.f64(), reader.f64())

    def write(self, writer) -> None:
        writer.f64(self.total)
        writer.f64(self.lost)

    def copy(self) -> Sum:
        return Sum(self.total, self.lost)

    def add(self, value: float) -> None:
        total = self.total + value
        great, small = (self.total, value) if abs(self.total) >= abs(value) else (value, self.total)
        self.lost += (great - total) + small
        self.total = total

    def merge(self, other: Sum) -> None:
        self.add(other.total)
        self.lost += other.lost

    def get(self) -> float | None:
        return finite(self.total + self.lost)


def finite(value: float | None) -> float | None:
    """A value that overflowed is absent rather than infinite."""
    return value if value is not None and math.isfinite(value) else None


def ratio(above: float, below: float) -> float | None:
    return finite(above / below) if below else None


def seconds(micros: int) -> float:
    return micros / 1e6


def add_u32(one: int, other: int) -> int:
    return min(one + other, U32_MAX)


def add_u64(one: int, other: int) -> int:
    return min(one + other, U64_MAX)


def add_i64(one: int, other: int) -> int:
    return max(min(one + other, I64_MAX), -I64_MAX - 1)
