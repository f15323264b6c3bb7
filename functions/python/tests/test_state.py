"""The state library against the example of docs/state.md, against what the gateway's own code made, and against broken texts."""

import base64
import json
import pathlib
import random
import re
import struct

import pytest
import xxhash
from tidegate_functions.state import Partial, Unreadable, merged
from tidegate_functions.state.condition import Unknown, holds
from tidegate_functions.state.values import xxh3

HERE = pathlib.Path(__file__).parent
DOCUMENT = HERE.parents[2] / "docs/state.md"
VECTORS = [json.loads(line) for line in (HERE / "vectors/state.jsonl").read_text().splitlines()]


def example():
    return re.findall(r"```text\n(\S+)\n```", DOCUMENT.read_text())[-1]


def test_the_example_of_the_document():
    whole = Partial.decode(example())
    assert whole.encode() == example()
    assert (whole.completeness["received"], whole.completeness["rejected"], whole.completeness["gaps"]) == (2, 1, 2)
    power = whole.lane("power")
    # As the document tells it: 1.0 before the window, 1.5 at 0.5 s, a break at 1 s, 2.5 from 2.5 s to the end at 60 s.
    area = 1.0 * 0.5 + 1.5 * 0.5 + 2.5 * 57.5
    for name, expected in [("count", 2), ("mean", 2.0), ("max", 2.5), ("last", 2.5), ("median", 2.0), ("distinct", 2), ("mode", 1.5),
                           ("slope", 0.5), ("increase", 1.5), ("integral", area), ("time_weighted_mean", area / 58.5),
                           ("histogram", {"bounds": [2.0], "counts": [1, 1]}), ("time_of_max", "2026-11-22T10:00:02.5Z")]:  # fmt: skip
        assert power.value(name) == expected, name
    assert power.value("integral", per=3600.0) == area / 3600
    assert power.value("slope", per=60.0) == 30.0
    assert power.value("no such thing") is None and power.value("duration_in") is None


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_merging_is_the_gateways(vector):
    """Byte by byte, and every value."""
    for part in vector["parts"]:
        assert Partial.decode(part).encode() == part
    whole = merged(vector["parts"])
    assert whole.encode() == vector["merged"]
    power = whole.lane("power")
    for name, expected in vector["values"].items():
        found = power.value(name)
        assert found == pytest.approx(expected, rel=1e-12) if isinstance(expected, float) else found == expected, name
    assert {name for name in vector["values"] if power.approximate(name)} == set(vector["approximate"])


def test_the_vectors_reach_every_form():
    """Those that say nothing of the forms with many readings would let them go wrong."""
    states = [state for vector in VECTORS for lane in Partial.decode(vector["merged"]).lanes for state in lane.states]
    assert {state.kind for state in states} == set(range(11))
    assert {state.few is None for state in states if state.kind == 4} == {True, False}
    assert max(state.level for state in states if state.kind == 4 and state.few is None) >= 3
    assert {state.few is None for state in states if state.kind == 5} == {True, False}
    assert any(state.missed for state in states if state.kind == 6)
    assert {state.settled is None for state in states if state.kind == 9} == {True, False}
    assert any(state.misplaced for state in states if state.kind == 9)


@pytest.mark.parametrize("text, why", [
    ("%", "not base64"), ("", "version None"), ("Ag==", "version 2"), ("AQ==", "cut short"),
    (base64.b64encode(b"\1" + b"\xff" * 11).decode(), "too long"),
])  # fmt: skip
def test_what_is_no_state_is_refused(text, why):
    with pytest.raises(Unreadable, match=why):
        Partial.decode(text)


def test_broken_states_are_refused_and_nothing_else():
    """Any byte of a real state changed, or its end cut off: `Unreadable`, or a state that can be used."""
    rng = random.Random(5)
    refused = 0
    for vector in VECTORS:
        data = base64.b64decode(vector["merged"])
        for _ in range(60):
            broken = bytearray(data[: rng.randrange(1, len(data))] if rng.random() < 0.3 else data)
            broken[rng.randrange(len(broken))] = rng.randrange(256)
            text = base64.b64encode(broken).decode()
            try:
                whole = Partial.decode(text)
            except Unreadable:
                refused += 1
                continue
            for lane in whole.lanes:
                [lane.value(name) for name in vector["values"] if not name.startswith("time_of")]
            whole.merge(Partial.decode(vector["parts"][0]))
            whole.encode()
    assert refused > 100


def test_the_hash_is_xxh3():
    rng = random.Random(3)
    for value in [0, 1, 2**63, 2**64 - 1] + [rng.getrandbits(64) for _ in range(500)]:
        assert xxh3(value) == xxhash.xxh3_64_intdigest(struct.pack("<Q", value))


@pytest.mark.parametrize("condition, value, expected", [
    ("value > 60", 61.0, True), ("value > 60", 60.0, False), ("value > 55 and value < 60", 61.0, False), ("not value > 60", 61.0, False),
    ("value < 1 || value >= 3", 3.0, True), ("value * 9 / 5 + 32 == 50", 10.0, True), ("-value > 1", -2.0, True), ("value != 1_000", 1e3, False),
    ("value == 0 or 1 / value > 2", 0.0, True), ("value / 0 > 1", 1.0, ZeroDivisionError), ("hour > 3", 1.0, Unknown), ("value", 1.0, Unknown),
    ("1 < value < 3", 2.0, Unknown), ("value > 'x'", 1.0, Unknown), ("abs(value) > 1", 1.0, Unknown), ("(", 1.0, Unknown),
    ("value > " + "1+" * 2_000 + "1", 1.0, Unknown), ("not 1", 1.0, Unknown), ("(value > 1) + 1 > 1", 2.0, Unknown),
])  # fmt: skip
def test_conditions(condition, value, expected):
    if isinstance(expected, bool):
        assert holds(condition, value) is expected
    else:
        with pytest.raises(expected):
            holds(condition, value)
