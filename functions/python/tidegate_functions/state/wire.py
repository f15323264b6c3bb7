"""Numbers and texts as bytes: the part of postcard's wire format that docs/state.md lists."""

from __future__ import annotations

import struct

U32_MAX, U64_MAX = 2**32 - 1, 2**64 - 1


class Unreadable(ValueError):
    """This is no state, or one of a version that is not known here."""


class Reader:
    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise Unreadable("the state is cut short")
        self.at += count
        return self.data[self.at - count : self.at]

    def u8(self) -> int:
        return self.take(1)[0]

    def flag(self) -> bool:
        found = self.u8()
        if found > 1:
            raise Unreadable("neither 0 nor 1")
        return found == 1

    def varint(self, most: int) -> int:
        value = shift = 0
        while True:
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 63:
                raise Unreadable("a number is too long")
        if value > most:
            raise Unreadable("a number is too great")
        return value

    def u32(self) -> int:
        return self.varint(U32_MAX)

    def u64(self) -> int:
        return self.varint(U64_MAX)

    def i32(self) -> int:
        return unzigzag(self.u32())

    def i64(self) -> int:
        return unzigzag(self.u64())

    def f64(self) -> float:
        return struct.unpack("<d", self.take(8))[0]

    def text(self) -> str:
        try:
            return self.take(self.u32()).decode("utf-8")
        except UnicodeDecodeError:
            raise Unreadable("a text is not UTF-8") from None

    def u32_variant(self, count: int) -> int:
        """Which of so many kinds follows."""
        found = self.u32()
        if found >= count:
            raise Unreadable(f"kind {found} is not known here")
        return found

    def option(self, read):
        return read() if self.flag() else None

    def list(self, read, most: int = U32_MAX) -> list:
        count = self.u32()
        # Each takes a byte at least, so that a false count cannot ask for more than was sent.
        if count > most or count > len(self.data) - self.at:
            raise Unreadable("a list is too long")
        return [read() for _ in range(count)]

    def sample(self) -> tuple[int, float]:
        return self.i64(), self.f64()


class Writer:
    def __init__(self):
        self.data = bytearray()

    def u8(self, value: int) -> None:
        self.data.append(value)

    def varint(self, value: int) -> None:
        while value >= 0x80:
            self.data.append(value & 0x7F | 0x80)
            value >>= 7
        self.data.append(value)

    u32 = u64 = varint

    def i64(self, value: int) -> None:
        self.varint(value << 1 if value >= 0 else (-value << 1) - 1)

    i32 = i64

    def f64(self, value: float) -> None:
        self.data += struct.pack("<d", value)

    def text(self, value: str) -> None:
        encoded = value.encode("utf-8")
        self.varint(len(encoded))
        self.data += encoded

    def option(self, value, write) -> None:
        self.u8(value is not None)
        if value is not None:
            write(value)

    def list(self, values, write) -> None:
        self.varint(len(values))
        for value in values:
            write(value)

    def sample(self, sample: tuple[int, float]) -> None:
        self.i64(sample[0])
        self.f64(sample[1])


def unzigzag(value: int) -> int:
    return (value >> 1) ^ -(value & 1)


def bits(value: float) -> int:
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def from_bits(value: int) -> float:
    return struct.unpack("<d", struct.pack("<Q", value))[0]


def total_order(value: float) -> int:
    """Orders as IEEE 754's totalOrder does: -0 before 0."""
    found = bits(value)
    return found ^ U64_MAX if found >> 63 else found | 1 << 63
