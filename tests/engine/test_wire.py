"""What travels comes back exactly; what is damaged, or somebody else's, is told so."""

from __future__ import annotations

import dataclasses
import json
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optbench.engine import wire
from optbench.engine.environment import Environment
from optbench.engine.executors import Performed
from optbench.engine.isolation import Limits
from optbench.engine.remote_work import Job
from optbench.engine.runs import Result, Run, Status, Trace
from optbench.engine.wire import NotOurs, decode, encode
from optbench.engine.work import Parcel, Unit

# Half characters too, and two halves that make a whole one.
texts = st.text(st.characters(exclude_categories=()), max_size=8) | st.just("\ud83d\ude00")
numbers = st.floats(width=64) | st.sampled_from([-0.0, float("nan"), float("inf"), 1.0])
integers = st.integers() | st.integers(2**63 - 2, 2**63 + 2)
scalars = st.none() | st.booleans() | integers | numbers | texts | st.binary(max_size=4)
literals = st.recursive(
    scalars | st.complex_numbers(),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)
runs = st.builds(
    Run,
    optimizer=texts,
    hyperparameters=st.lists(st.tuples(texts, literals), max_size=3).map(tuple),
    problem=texts,
    problem_version=integers,
    data=texts,
    seed=st.integers(0, 2**31),
    budget=st.integers(1, 10**9),
    default=st.booleans(),
)
traces = st.lists(st.floats(width=32), max_size=5).map(
    lambda values: Trace(np.arange(len(values), dtype=np.int32), np.array(values, np.float32))
)
results = st.builds(
    Result,
    run=runs,
    status=st.sampled_from(Status),
    error=st.none() | texts,
    initial_gap=st.none() | numbers,
    final_gap=st.none() | numbers,
    hits=st.lists(st.none() | st.integers(0, 10**6), max_size=4).map(tuple),
    traces=st.dictionaries(texts, traces, max_size=2),
)


HERE = Environment(
    "cpu", 2, 1, "os", "3.11", "2.13.0+cpu", "2.4", "0.1.0", "cpu", commit=None, dirty=None
)


def spelt(value: Any) -> Any:
    """A value so that two are equal where types, bits and all are; NaN included."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return (type(value).__name__, *(spelt(getattr(value, each.name)) for each in fields))
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, float):
        return "float", struct.pack("<d", value)
    if isinstance(value, complex):
        return "complex", spelt(value.real), spelt(value.imag)
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, *map(spelt, value))
    if isinstance(value, dict):
        return ("dict", *((spelt(k), spelt(v)) for k, v in value.items()))
    return type(value).__name__, value


@given(st.lists(results, max_size=2).map(tuple))
@settings(max_examples=80, deadline=None, derandomize=True, database=None)
def test_results_come_back_as_they_were(made: tuple[Result, ...]) -> None:
    sent = Performed(made, HERE)
    assert spelt(decode(encode(sent, Performed), Performed)) == spelt(sent)


@given(st.lists(runs, min_size=1, max_size=2).map(tuple), st.booleans(), numbers)
@settings(max_examples=80, deadline=None, derandomize=True, database=None)
def test_a_job_comes_back_as_it_was(made: tuple[Run, ...], certify: bool, seconds: float) -> None:
    sent = Job(
        Parcel((Unit(made, certify, seconds),)), Limits(seconds, 2**40), ("ab",) * len(made), "cd"
    )
    assert spelt(decode(encode(sent, Job), Job)) == spelt(sent)


def test_a_run_that_came_back_is_the_same_key_of_a_dictionary() -> None:
    run = Run("adam", (("betas", (0.9, 0.999)), ("lr", 0.1)), "quadratic", 1, "none", 0, 9)
    assert {run: 1}[decode(encode(run, Run), Run)] == 1


RESULT = Result(
    Run("adam", (("betas", (0.9, float("nan"))), ("lr", 1e-3)), "quadratic", 1, "none", 0, 9),
    Status.DIVERGED,
    final_gap=float("inf"),
    hits=(1, None),
    traces={"gap": Trace(np.arange(3, dtype=np.int32), np.ones(3, np.float32))},
)
MESSAGE = encode(RESULT, Result)


@given(st.data())
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
def test_no_byte_can_be_changed_or_cut_off_unnoticed(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(MESSAGE) - 1))
    change = data.draw(st.integers(1, 255))
    damaged = MESSAGE[:at] + bytes([MESSAGE[at] ^ change]) + MESSAGE[at + 1 :]
    for content in (damaged, MESSAGE[:at], MESSAGE + damaged[at : at + 1]):
        with pytest.raises(NotOurs):
            decode(content, Result)


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None, derandomize=True, database=None)
def test_any_bytes_are_refused(content: bytes) -> None:
    for each in (content, wire.MAGIC + content, signed(content)):
        with pytest.raises(NotOurs):
            decode(each, Result)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.data())
@settings(max_examples=300, deadline=None, derandomize=True, database=None)
def test_a_forged_header_makes_a_value_of_that_type_or_none(data: st.DataObject) -> None:
    """Somebody who can count the checksum puts anything in any place."""
    header, rest = taken_apart(MESSAGE)
    place: Any = header
    while True:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        key = data.draw(st.sampled_from(list(keys)))
        inner = place[key]
        if not isinstance(inner, (dict, list)) or not inner or data.draw(st.booleans()):
            break
        place = inner
    if data.draw(st.booleans()) or isinstance(place, list):
        place[key] = data.draw(json_values)
    else:
        del place[key]
    try:
        made = decode(put_together(header, rest), Result)
    except NotOurs:
        return
    # It could have been sent: every field holds what its type says.
    assert spelt(decode(encode(made, Result), Result)) == spelt(made)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("[" * 100_000, "cannot be read"),
        ('{"run":' + "9" * 5000 + "}", "cannot be read"),
        ("{}", "not the fields of Result"),
        ("\udcff", "cannot be read"),
    ],
)
def test_what_breaks_a_parser_is_refused(header: str, said: str) -> None:
    content = header.encode("ascii", "surrogateescape")
    with pytest.raises(NotOurs, match=said):
        decode(signed(struct.pack("<I", len(content)) + content), Result)


def test_an_array_of_objects_neither_leaves_nor_arrives() -> None:
    trace = Trace(np.array([object()]), np.ones(1, np.float32))
    with pytest.raises(TypeError, match="cannot travel"):
        encode(trace, Trace)
    header, rest = taken_apart(encode(Trace(np.ones(1), np.ones(1)), Trace))
    header["steps"]["dtype"] = "|O"
    with pytest.raises(NotOurs, match=r"an array of '\|O'"):
        decode(put_together(header, rest), Trace)


def test_an_array_larger_than_its_message_takes_no_memory() -> None:
    header, rest = taken_apart(MESSAGE)
    header["traces"][0][1]["steps"]["shape"] = [2**30, 2**30]
    with pytest.raises(NotOurs, match="missing"):
        decode(put_together(header, rest), Result)


def test_what_is_no_literal_cannot_leave() -> None:
    run = dataclasses.replace(RESULT.run, hyperparameters=(("lr", object()),))
    with pytest.raises(TypeError, match="no Python literal"):
        encode(run, Run)


def test_another_type_is_told_apart() -> None:
    with pytest.raises(NotOurs, match="not the fields of Environment"):
        decode(MESSAGE, Environment)


def signed(body: bytes) -> bytes:
    return wire.MAGIC + struct.pack("<I", zlib.crc32(body)) + body


def taken_apart(message: bytes) -> tuple[Any, bytes]:
    start = len(wire.MAGIC) + wire.HEADER.size
    _, length = wire.HEADER.unpack_from(message, len(wire.MAGIC))
    return json.loads(message[start : start + length]), message[start + length :]


def put_together(header: Any, rest: bytes) -> bytes:
    written = json.dumps(header).encode()
    return signed(struct.pack("<I", len(written)) + written + rest)
