"""Real MNIST digits: the shipped 10,000, or the official IDX files of a folder.

Which it is, is one setting for a process: the environment variable ``OPTBENCH_DATA`` names
the folder (``--data`` sets it). It is named in every result, and digits of different origin
never mix.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import os
import shlex
import struct
import zlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from optbench.errors import OptbenchError
from optbench.whole_files import read_whole

DATA_VARIABLE = "OPTBENCH_DATA"

SHIPPED_SHA256 = {
    "x": "a8bc2146ae85361f6a9ce80cee6cb018e81697aba88d4b86d7df6dfdd8ea40cf",
    "y": "48450e705681e9f740ee416a96b477b01259d0e4cf0f4ae6eb60a2c7873a5f9f",
}
"""SHA-256 of the arrays' bytes; the file's own hash depends on the zlib that packed it."""

SHIPPED_TRAIN = 8000
"""Number of the 10,000 shipped digits to train on; the other 2,000 are held out."""


@dataclass(frozen=True)
class IdxFile:
    """One of the four official files."""

    name: str
    md5: str
    shape: tuple[int, ...]

    @property
    def most(self) -> int:
        """Bytes that it may have, packed: gzip makes hardly more of what it cannot make less."""
        return int(np.prod(self.shape)) + 2**16


IDX_FILES = {
    "train_x": IdxFile(
        "train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873", (60000, 28, 28)
    ),
    "train_y": IdxFile("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432", (60000,)),
    "held_x": IdxFile(
        "t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3", (10000, 28, 28)
    ),
    "held_y": IdxFile("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c", (10000,)),
}


class DamagedData(OptbenchError, ValueError):
    """A data file that is missing, cut short, or not what it should be."""


@dataclass(frozen=True)
class Digits:
    """Images in [0, 1] as float32 [n, 784], labels as int64 [n]; a training and a held-out part."""

    name: str
    train_x: np.ndarray
    train_y: np.ndarray
    held_x: np.ndarray
    held_y: np.ndarray


def load() -> Digits:
    """Return the digits of the folder that ``OPTBENCH_DATA`` names, or else the shipped ones.

    Raises
    ------
    DamagedData
        Where a file is missing, truncated, or has another checksum; the text says which. A
        file that is damaged after it has been read is not noticed: digits are read once a process.
    """
    folder = os.environ.get(DATA_VARIABLE)
    # Resolved, since what is kept for a relative path would be wrong in another directory.
    return _official(Path(folder).resolve()) if folder else _shipped()


@functools.cache
def _shipped() -> Digits:
    path = resources.files("optbench.problems") / "data" / "mnist_10k.npz"
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            x, y = arrays["x"], arrays["y"]
    except Exception as error:
        # One wrong byte can raise nearly anything here: BadZipFile, zlib.error, RuntimeError
        # (zip's "encrypted" bit), tokenize.TokenError (NumPy's header), KeyError, ...
        raise DamagedData(f"the shipped digits cannot be read: {error}") from error
    for name, array in (("x", x), ("y", y)):
        if hashlib.sha256(array.tobytes()).hexdigest() != SHIPPED_SHA256[name]:
            raise DamagedData(f"the shipped digits are damaged: wrong sha256 of {name!r}")
    n = SHIPPED_TRAIN
    return Digits("mnist-10k", _scaled(x[:n]), _labels(y[:n]), _scaled(x[n:]), _labels(y[n:]))


@functools.cache
def _official(folder: Path) -> Digits:
    parts = {part: read_idx(folder, idx) for part, idx in IDX_FILES.items()}
    for part in ("train_y", "held_y"):
        if parts[part].max() > 9:
            raise DamagedData(f"{folder / IDX_FILES[part].name}: a label above 9")
    return Digits(
        "mnist-70k",
        _scaled(parts["train_x"]),
        _labels(parts["train_y"]),
        _scaled(parts["held_x"]),
        _labels(parts["held_y"]),
    )


def read_idx(folder: Path, idx: IdxFile) -> np.ndarray:
    """Read one official file, checked by md5 and by its header; uint8 of ``idx.shape``.

    Raises
    ------
    DamagedData
        Where it is missing or cannot be read, has another md5, does not unpack, or holds other
        than ``idx.shape``; the text names the file and the command that repairs it.
    """
    path = folder / idx.name
    command = f"optbench data mnist --to {shlex.quote(str(folder))}"
    try:
        packed = read_whole(path, idx.most)
    except OSError as error:
        raise DamagedData(f"{path}: {error.strerror or error} ({command} downloads it)") from error
    found = hashlib.md5(packed, usedforsecurity=False).hexdigest()
    if found != idx.md5:
        raise DamagedData(
            f"{path}: damaged or not the official file: its md5 is {found}, not {idx.md5} "
            f"({len(packed):,} bytes; {command} repairs it)"
        )
    try:
        content = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as error:
        raise DamagedData(f"{path}: does not unpack: {error} ({command} repairs it)") from error
    return parse_idx(content, idx.shape, str(path))


def parse_idx(content: bytes, shape: tuple[int, ...], where: str) -> np.ndarray:
    """Parse an unpacked IDX file of unsigned bytes.

    Format: two zero bytes, a type (8: unsigned byte), the number of dimensions, each dimension
    as a big-endian 32-bit number, the values (LeCun, Cortes and Burges, the MNIST page).

    Gives a read-only uint8 array of ``shape``.

    Raises
    ------
    DamagedData
        Where the content is anything else; its text begins with ``where``.
    """
    header = 4 + 4 * len(shape)
    if len(content) < header:
        raise DamagedData(f"{where}: truncated: {len(content)} bytes, less than an IDX header")
    magic, *dimensions = struct.unpack(f">{1 + len(shape)}I", content[:header])
    if magic != 0x800 + len(shape):
        raise DamagedData(f"{where}: not an IDX file of {len(shape)} dimensions (magic {magic:#x})")
    if tuple(dimensions) != shape:
        raise DamagedData(f"{where}: holds {tuple(dimensions)} values, not {shape}")
    if len(content) != header + int(np.prod(shape)):
        raise DamagedData(
            f"{where}: truncated or too long: {len(content) - header:,} values, "
            f"not {int(np.prod(shape)):,}"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)


def _scaled(images: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = images.reshape(len(images), -1).astype(np.float32) / np.float32(255)
    return scaled


def _labels(labels: np.ndarray) -> np.ndarray:
    return labels.astype(np.int64)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over examples of -log softmax at the label: [K] from [K, n, classes] and [K, n]."""
    # Fewer nodes in the graph than torch's own `cross_entropy`, reshaped there and back.
    picked = torch.log_softmax(logits, 2).gather(2, labels.unsqueeze(2))
    return picked.sum((1, 2)) * (-1 / labels.shape[1])
