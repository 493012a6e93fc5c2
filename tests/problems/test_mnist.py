"""The digits: what ships, what an official folder gives, and every way they can be damaged."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import struct
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from optbench.problems import mnist
from optbench.problems.mnist import DamagedData, IdxFile, parse_idx

SHAPES = {"train_x": (6, 4, 4), "train_y": (6,), "held_x": (3, 4, 4), "held_y": (3,)}


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No digits kept from another test, nor left to the next."""
    monkeypatch.delenv(mnist.DATA_VARIABLE, raising=False)
    for kept in (mnist._shipped, mnist._official):
        kept.cache_clear()
    yield
    for kept in (mnist._shipped, mnist._official):
        kept.cache_clear()


def idx_bytes(array: np.ndarray) -> bytes:
    header = struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


@dataclasses.dataclass
class Folder:
    """Small files under the official names, whose md5s are the catalogue's."""

    path: Path
    values: dict[str, np.ndarray]

    def file(self, part: str) -> Path:
        return self.path / mnist.IDX_FILES[part].name

    def put(self, part: str, packed: bytes) -> None:
        """Replace a file, and let its md5 be the right one."""
        name = mnist.IDX_FILES[part].name
        (self.path / name).write_bytes(packed)
        mnist.IDX_FILES[part] = IdxFile(name, hashlib.md5(packed).hexdigest(), SHAPES[part])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    rng = np.random.default_rng(3)
    values = {
        part: rng.integers(0, 256 if part.endswith("x") else 10, shape).astype(np.uint8)
        for part, shape in SHAPES.items()
    }
    monkeypatch.setattr(mnist, "IDX_FILES", dict(mnist.IDX_FILES))
    made = Folder(tmp_path, values)
    for part, array in values.items():
        made.put(part, gzip.compress(idx_bytes(array), mtime=0))
    monkeypatch.setenv(mnist.DATA_VARIABLE, str(tmp_path))
    return made


# What ships


def test_the_shipped_digits_are_scaled_and_parted() -> None:
    digits = mnist.load()
    assert digits.name == "mnist-10k"
    assert digits.train_x.shape == (8000, 784)
    assert digits.held_x.shape == (2000, 784)
    assert digits.train_y.shape == (8000,)
    assert digits.held_y.shape == (2000,)
    for x, y in ((digits.train_x, digits.train_y), (digits.held_x, digits.held_y)):
        assert (x.dtype, y.dtype) == (np.float32, np.int64)
        assert (x.min(), x.max()) == (0, 1)
        assert set(y.tolist()) == set(range(10))
    counts = np.bincount(np.concatenate([digits.train_y, digits.held_y]))
    assert counts.tolist() == [1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944, 978]


def test_the_loaded_digits_are_the_pinned_ones_bit_for_bit() -> None:
    digits = mnist.load()
    x = np.rint(np.concatenate([digits.train_x, digits.held_x]) * 255).astype(np.uint8)
    y = np.concatenate([digits.train_y, digits.held_y]).astype(np.uint8)
    assert hashlib.sha256(x.tobytes()).hexdigest() == mnist.SHIPPED_SHA256["x"]
    assert hashlib.sha256(y.tobytes()).hexdigest() == mnist.SHIPPED_SHA256["y"]


def test_no_held_out_digit_is_trained_on() -> None:
    digits = mnist.load()
    train = {image.tobytes() for image in digits.train_x}
    held = {image.tobytes() for image in digits.held_x}
    assert len(train) == 8000
    assert len(held) == 2000
    assert not train & held


@pytest.fixture
def shipped_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the package's files be looked for in a folder of the test's own."""
    original = resources.files("optbench.problems") / "data" / "mnist_10k.npz"
    copy = tmp_path / "data" / "mnist_10k.npz"
    copy.parent.mkdir()
    copy.write_bytes(original.read_bytes())
    monkeypatch.setattr(mnist.resources, "files", lambda _: tmp_path)
    return copy


def flip(position: int, to: int) -> Callable[[bytes], bytes]:
    return lambda raw: raw[:position] + bytes([raw[position] ^ to]) + raw[position + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: b"",
        lambda raw: b"no archive",
        lambda raw: raw[:-1],
        lambda raw: raw[: len(raw) // 2],
        flip(0, 0xFF),
        lambda raw: flip(raw.index(b"PK\1\2") + 8, 1)(raw),  # in the archive's directory
        flip(1000, 0xFF),
        flip(1_000_000, 1),
    ],
    ids=["empty", "other", "a byte short", "half", "magic", "encrypted", "early", "late"],
)
def test_a_damaged_archive_is_said_to_be_so(
    damage: Callable[[bytes], bytes], shipped_copy: Path
) -> None:
    shipped_copy.write_bytes(damage(shipped_copy.read_bytes()))
    with pytest.raises(DamagedData, match="the shipped digits"):
        mnist.load()


def test_a_missing_archive_is_said_to_be_so(shipped_copy: Path) -> None:
    shipped_copy.unlink()
    with pytest.raises(DamagedData, match="the shipped digits cannot be read"):
        mnist.load()


@pytest.mark.parametrize("name", ["x", "y"])
def test_one_other_value_is_noticed(name: str, shipped_copy: Path) -> None:
    with np.load(shipped_copy) as archive:
        parts = dict(archive)
    parts[name].flat[0] ^= 1
    np.savez_compressed(shipped_copy, **parts)
    with pytest.raises(DamagedData, match=f"wrong sha256 of '{name}'"):
        mnist.load()


def test_an_archive_without_labels_is_said_to_be_so(shipped_copy: Path) -> None:
    with np.load(shipped_copy) as archive:
        x = archive["x"]
    np.savez(shipped_copy, x=x)
    with pytest.raises(DamagedData, match="cannot be read"):
        mnist.load()


# An official folder


def test_the_official_files_are_pinned_as_published() -> None:
    assert {idx.name: (idx.md5, idx.shape) for idx in mnist.IDX_FILES.values()} == {
        "train-images-idx3-ubyte.gz": ("f68b3c2dcbeaaa9fbdd348bbdeb94873", (60000, 28, 28)),
        "train-labels-idx1-ubyte.gz": ("d53e105ee54ea40749a09fcbcd1e9432", (60000,)),
        "t10k-images-idx3-ubyte.gz": ("9fb629c4189551a2d022fa330f9573f3", (10000, 28, 28)),
        "t10k-labels-idx1-ubyte.gz": ("ec29112dd5afa0611ce80d1b7f02629c", (10000,)),
    }


def test_a_folder_is_loaded_in_place_of_what_ships(folder: Folder) -> None:
    digits = mnist.load()
    assert digits.name == "mnist-70k"
    assert digits.train_x.shape == (6, 16)
    np.testing.assert_array_equal(
        digits.train_x, folder.values["train_x"].reshape(6, 16) / np.float32(255)
    )
    np.testing.assert_array_equal(digits.held_y, folder.values["held_y"])
    assert (digits.train_x.dtype, digits.held_y.dtype) == (np.float32, np.int64)


def test_the_origin_is_asked_for_anew_at_each_load(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [mnist.load().name]
    monkeypatch.delenv(mnist.DATA_VARIABLE)
    names.append(mnist.load().name)
    assert names == ["mnist-70k", "mnist-10k"]


def test_a_relative_folder_is_not_mixed_up_with_another_directorys(
    folder: Folder, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(mnist.DATA_VARIABLE, ".")
    monkeypatch.chdir(folder.path)
    assert mnist.load().name == "mnist-70k"
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))
    with pytest.raises(DamagedData, match="No such file"):
        mnist.load()


@pytest.mark.parametrize("part", SHAPES)
def test_a_missing_file_is_named_with_the_command_that_brings_it(part: str, folder: Folder) -> None:
    folder.file(part).unlink()
    with pytest.raises(DamagedData) as caught:
        mnist.load()
    assert str(caught.value) == (
        f"{folder.file(part)}: No such file or directory "
        f"(optbench data mnist --to {folder.path} downloads it)"
    )


def test_a_file_is_no_folder(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(mnist.DATA_VARIABLE, str(folder.file("train_x")))
    with pytest.raises(DamagedData, match="Not a directory"):
        mnist.load()


@pytest.mark.parametrize("part", SHAPES)
@pytest.mark.parametrize("damage", [lambda raw: raw[:-3], flip(20, 1)], ids=["short", "bit"])
def test_a_wrong_md5_is_named(part: str, damage: Callable[[bytes], bytes], folder: Folder) -> None:
    raw = damage(folder.file(part).read_bytes())
    folder.file(part).write_bytes(raw)
    with pytest.raises(DamagedData) as caught:
        mnist.load()
    message = str(caught.value)
    assert message.startswith(f"{folder.file(part)}: damaged or not the official file")
    assert f"its md5 is {hashlib.md5(raw).hexdigest()}, not {mnist.IDX_FILES[part].md5}" in message
    assert f"optbench data mnist --to {folder.path} repairs it" in message


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[:-9],
        lambda raw: raw[:3],
        lambda raw: b"no gzip",
        flip(-5, 1),
        flip(12, 0xFF),
    ],
    ids=["truncated", "header", "other", "checksum", "deflate"],
)
def test_what_does_not_unpack_is_named(damage: Callable[[bytes], bytes], folder: Folder) -> None:
    folder.put("held_x", damage(folder.file("held_x").read_bytes()))
    with pytest.raises(DamagedData, match="does not unpack") as caught:
        mnist.load()
    assert str(caught.value).startswith(f"{folder.file('held_x')}: ")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (idx_bytes(np.zeros((6, 2, 8))), r"holds \(6, 2, 8\) values, not \(6, 4, 4\)"),
        (idx_bytes(np.zeros((3, 4, 4))), r"holds \(3, 4, 4\) values, not \(6, 4, 4\)"),
        (idx_bytes(np.zeros(96)), "not an IDX file of 3 dimensions"),
        (b"\0\0\x0d\x03" + idx_bytes(np.zeros((6, 4, 4)))[4:], r"magic 0xd03"),
        (idx_bytes(np.zeros((6, 4, 4))) + b"\0", "truncated or too long: 97 values, not 96"),
        (idx_bytes(np.zeros((6, 4, 4)))[:-1], "truncated or too long: 95 values, not 96"),
        (b"\0\0\x08", "truncated: 3 bytes, less than an IDX header"),
        (b"", "truncated: 0 bytes"),
    ],
    ids=["shape", "count", "labels", "floats", "long", "short", "header", "empty"],
)
def test_what_is_not_these_images_is_named(content: bytes, says: str, folder: Folder) -> None:
    folder.put("train_x", gzip.compress(content))
    with pytest.raises(DamagedData, match=says) as caught:
        mnist.load()
    assert str(caught.value).startswith(f"{folder.file('train_x')}: ")


@pytest.mark.parametrize("part", ["train_y", "held_y"])
def test_a_label_above_9_is_named(part: str, folder: Folder) -> None:
    labels = folder.values[part].copy()
    labels[-1] = 10
    folder.put(part, gzip.compress(idx_bytes(labels)))
    with pytest.raises(DamagedData, match="a label above 9") as caught:
        mnist.load()
    assert str(caught.value).startswith(f"{folder.file(part)}: ")


# The format

some_bytes = arrays.arrays(np.uint8, arrays.array_shapes(min_dims=1, max_dims=3, max_side=6))


@given(some_bytes)
def test_what_was_written_is_read_back(array: np.ndarray) -> None:
    read = parse_idx(idx_bytes(array), array.shape, "here")
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, array)


@given(some_bytes, st.data())
def test_any_truncation_is_noticed(array: np.ndarray, data: st.DataObject) -> None:
    content = idx_bytes(array)
    length = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(DamagedData, match=r"^here: truncated"):
        parse_idx(content[:length], array.shape, "here")


@given(some_bytes, st.data())
def test_any_other_header_is_noticed(array: np.ndarray, data: st.DataObject) -> None:
    content = bytearray(idx_bytes(array))
    position = data.draw(st.integers(0, 3 + 4 * array.ndim))
    content[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(DamagedData, match=r"^here: "):
        parse_idx(bytes(content), array.shape, "here")


# What is made of them


def test_cross_entropy_is_minus_the_log_softmax_at_the_label() -> None:
    rng = np.random.default_rng(5)
    logits, labels = rng.standard_normal((2, 7, 10)), rng.integers(0, 10, (2, 7))
    log_softmax = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    expected = -np.take_along_axis(log_softmax, labels[..., None], -1).mean((1, 2))
    found = mnist.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-13)
