"""Dataclasses to bytes and back, without pickle: what travels between coordinator and workers.

A message is a line that names the format, a checksum, a JSON header, and the arrays' bytes, little
end first. The receiver says which type it expects, and nothing else is ever made of the bytes: a
stranger can send wrong numbers, but nothing that runs.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import math
import struct
import types
import zlib
from collections.abc import Mapping
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

MAGIC = b"optbench 1\n"

HEADER = struct.Struct("<II")
"""The checksum (CRC-32) of all that follows it, and the length of the JSON header in bytes."""

DTYPES = ("|b1", "|i1", "|u1", "<i2", "<i4", "<i8", "<u2", "<u4", "<u8", "<f2", "<f4", "<f8")
"""Of arrays, as `numpy.dtype.str` has them."""

T = TypeVar("T")


class NotOurs(ValueError):
    """Bytes that are damaged, cut short, or no message of the expected type; the text says why."""


def encode(value: T, kind: type[T]) -> bytes:
    """Bytes of a value of a dataclass.

    Fields may be annotated as None, bool, int, float, str, enumerations, arrays, dataclasses;
    optional ones, tuples and mappings of those; and ``Any``, which stands for Python literals.

    Raises
    ------
    TypeError
        Where a field holds what its annotation does not say, or what cannot travel.
    """
    arrays: list[bytes] = []
    header = json.dumps(_flat(value, kind, arrays), separators=(",", ":")).encode("ascii")
    body = b"".join([struct.pack("<I", len(header)), header, *arrays])
    return MAGIC + struct.pack("<I", zlib.crc32(body)) + body


def decode(content: bytes, kind: type[T]) -> T:
    """The value of a dataclass from its bytes; arrays are copies, and writable.

    Raises
    ------
    NotOurs
        Where the bytes are anything else than what `encode` makes of a ``kind``.
    """
    start = len(MAGIC) + HEADER.size
    if content[: len(MAGIC)] != MAGIC:
        raise NotOurs(f"no message of this optbench: it begins with {bytes(content[:16])!r}")
    if len(content) < start:
        raise NotOurs(f"cut short: {len(content)} bytes")
    checksum, length = HEADER.unpack_from(content, len(MAGIC))
    if zlib.crc32(content[len(MAGIC) + 4 :]) != checksum:
        raise NotOurs(f"damaged or cut short: wrong checksum of {len(content):,} bytes")
    if length > len(content) - start:
        raise NotOurs(f"cut short: a header of {length:,} bytes in {len(content):,}")
    arrays = _Bytes(content[start + length :])
    try:
        header = json.loads(content[start : start + length])
        value: T = _value(header, kind, arrays, kind.__name__)
    except NotOurs:
        raise
    # A header nested too deeply, no JSON, a number that is too large to be one, half a character.
    except (RecursionError, ValueError, OverflowError) as error:
        raise NotOurs(f"its header cannot be read: {error}") from error
    arrays.must_be_used_up()
    return value


class _Bytes:
    """The arrays' bytes, taken in the order in which they were put."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def take(self, size: int, path: str) -> bytes:
        taken = self._content[self._at : self._at + size]
        if len(taken) != size:
            raise NotOurs(f"{path}: {size:,} bytes of an array are missing")
        self._at += size
        return taken

    def must_be_used_up(self) -> None:
        if self._at != len(self._content):
            raise NotOurs(f"{len(self._content) - self._at:,} bytes too many")


@functools.cache
def _fields(kind: Any) -> dict[str, Any]:
    """Fields of a dataclass with their types."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _choices(kind: Any) -> tuple[Any, ...]:
    """The members of a union; of everything else itself."""
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


# From values to what JSON has.


def _flat(value: Any, kind: Any, arrays: list[bytes]) -> Any:
    if kind is Any:
        return _flat_literal(value)
    choices = _choices(kind)
    if value is None and type(None) in choices:
        return None
    for choice in choices:
        origin, arguments = get_origin(choice) or choice, get_args(choice)
        if origin is tuple and isinstance(value, tuple):
            return [
                _flat(*pair, arrays) for pair in zip(value, _each(value, arguments), strict=True)
            ]
        if origin is Mapping and isinstance(value, Mapping):
            of_key, of_value = arguments
            return [
                [_flat(k, of_key, arrays), _flat(v, of_value, arrays)] for k, v in value.items()
            ]
        if choice is np.ndarray and isinstance(value, np.ndarray):
            return _flat_array(value, arrays)
        if dataclasses.is_dataclass(choice) and type(value) is choice:
            return {
                name: _flat(getattr(value, name), of, arrays)
                for name, of in _fields(choice).items()  # type: ignore[arg-type]
            }
        if isinstance(choice, type) and issubclass(choice, enum.Enum) and type(value) is choice:
            return value.value
        if choice is bool and isinstance(value, bool):
            return value
        if choice in (int, str) and isinstance(value, choice) and not isinstance(value, bool):
            return _flat_literal(value)
        if choice is float and isinstance(value, (int, float)) and not isinstance(value, bool):
            return _flat_literal(float(value))
    raise TypeError(f"{type(value).__name__} where {kind} belongs cannot travel: {value!r:.80}")


def _each(value: tuple[Any, ...], arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """The type of each element of a tuple."""
    repeated = len(arguments) == 2 and arguments[1] is Ellipsis
    return arguments[:1] * len(value) if repeated else arguments


def _flat_array(value: np.ndarray, arrays: list[bytes]) -> dict[str, Any]:
    # NumPy writes "=" away, but a foreign order stays one.
    little = value.astype(value.dtype.newbyteorder("<"), order="C", copy=False)
    if little.dtype.str not in DTYPES:
        raise TypeError(f"an array of {value.dtype} cannot travel")
    arrays.append(little.tobytes())
    return {"dtype": little.dtype.str, "shape": list(value.shape)}


def _flat_literal(value: Any) -> Any:
    """A hyperparameter: what JSON has as it is, everything else with its type's name."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        # Python's JSON has no numbers of thousands of digits.
        return int(value) if -(2**63) <= value < 2**63 else {"int": hex(value)}
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"float": struct.pack("<d", value).hex()}
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            # Two halves of a character would come out of JSON as a whole one.
            return {"str": value.encode("utf-8", "surrogatepass").hex()}
        return str(value)
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, complex):
        return {"complex": struct.pack("<dd", value.real, value.imag).hex()}
    if isinstance(value, (tuple, list)):
        name = "tuple" if isinstance(value, tuple) else "list"
        return {name: [_flat_literal(each) for each in value]}
    if isinstance(value, dict):
        return {"dict": [[_flat_literal(k), _flat_literal(v)] for k, v in value.items()]}
    raise TypeError(f"{type(value).__name__} is no Python literal and cannot travel: {value!r:.80}")


# And back. Whoever wrote the header, it is believed nothing.


def _value(flat: Any, kind: Any, arrays: _Bytes, path: str) -> Any:
    if kind is Any:
        return _literal(flat, path)
    choices = _choices(kind)
    if flat is None and type(None) in choices:
        return None
    (choice,) = (each for each in choices if each is not type(None))
    origin, arguments = get_origin(choice) or choice, get_args(choice)
    if origin is tuple:
        kinds = _each(tuple(_list(flat, path)), arguments)
        if len(kinds) != len(flat):
            raise NotOurs(f"{path}: {len(flat)} values where {len(kinds)} belong")
        return tuple(
            _value(each, of, arrays, f"{path}[{n}]")
            for n, (each, of) in enumerate(zip(flat, kinds, strict=True))
        )
    if origin is Mapping:
        pairs = [_list(pair, path, 2) for pair in _list(flat, path)]
        of_key, of_value = arguments
        return {
            (name := _value(k, of_key, arrays, path)): _value(v, of_value, arrays, f"{path}.{name}")
            for k, v in pairs
        }
    if choice is np.ndarray:
        return _array(flat, arrays, path)
    if dataclasses.is_dataclass(choice):
        fields = _fields(choice)  # type: ignore[arg-type]
        if type(flat) is not dict or flat.keys() != fields.keys():
            raise NotOurs(f"{path}: not the fields of {choice.__name__}: {flat!r:.80}")  # type: ignore[union-attr]
        made = {n: _value(flat[n], of, arrays, f"{path}.{n}") for n, of in fields.items()}
        return choice(**made)  # type: ignore[operator]
    if issubclass(choice, enum.Enum):
        if type(flat) is not str or flat not in {each.value for each in choice}:
            raise NotOurs(f"{path}: no {choice.__name__}: {flat!r:.80}")
        return choice(flat)
    value = _literal(flat, path)
    if type(value) is not choice:
        raise NotOurs(f"{path}: {type(value).__name__} where {choice.__name__} belongs")
    return value


def _list(flat: Any, path: str, length: int | None = None) -> list[Any]:
    if type(flat) is not list or length not in (None, len(flat)):
        raise NotOurs(f"{path}: no list{f' of {length}' if length else ''}: {flat!r:.80}")
    return flat


def _array(flat: Any, arrays: _Bytes, path: str) -> np.ndarray:
    if type(flat) is not dict or flat.keys() != {"dtype", "shape"}:
        raise NotOurs(f"{path}: no array: {flat!r:.80}")
    dtype, shape = flat["dtype"], _list(flat["shape"], path)
    if type(dtype) is not str or dtype not in DTYPES:
        raise NotOurs(f"{path}: an array of {dtype!r:.80}")
    if len(shape) > 8 or not all(type(n) is int and 0 <= n < 2**31 for n in shape):
        raise NotOurs(f"{path}: an array of shape {shape!r:.80}")
    content = arrays.take(math.prod(shape) * np.dtype(dtype).itemsize, path)
    return np.frombuffer(content, dtype).reshape(shape).copy()


def _literal(flat: Any, path: str) -> Any:
    if flat is None or type(flat) in (bool, int, str):
        return flat
    if type(flat) is float:
        if not math.isfinite(flat):
            raise NotOurs(f"{path}: {flat} is written otherwise")
        return flat
    if type(flat) is not dict or len(flat) != 1:
        raise NotOurs(f"{path}: no literal: {flat!r:.80}")
    ((name, content),) = flat.items()
    if name in ("tuple", "list"):
        items = [_literal(each, path) for each in _list(content, path)]
        return tuple(items) if name == "tuple" else items
    if name == "dict":
        pairs = [_list(pair, path, 2) for pair in _list(content, path)]
        try:
            return {_literal(k, path): _literal(v, path) for k, v in pairs}
        except TypeError as error:
            raise NotOurs(f"{path}: {error}") from error
    if type(content) is not str or name not in _SCALARS:
        raise NotOurs(f"{path}: no literal: {flat!r:.80}")
    try:
        return _SCALARS[name](content)
    except (ValueError, struct.error) as error:
        raise NotOurs(f"{path}: no {name}: {content!r:.80}") from error


_SCALARS: dict[str, Any] = {
    "int": lambda text: int(text, 16),
    "float": lambda text: struct.unpack("<d", bytes.fromhex(text))[0],
    "str": lambda text: bytes.fromhex(text).decode("utf-8", "surrogatepass"),
    "bytes": bytes.fromhex,
    "complex": lambda text: complex(*struct.unpack("<dd", bytes.fromhex(text))),
}
