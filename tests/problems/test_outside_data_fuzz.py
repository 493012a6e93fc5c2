"""IDX files, downloads and problems of strangers: read or refused, and no more than they are."""

from __future__ import annotations

import gzip
import hashlib
import resource
import struct
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fuzzing import fuzzed, numbers, texts, works_or_is_refused
from hypothesis import example, given
from hypothesis import strategies as st

from optbench.problems import DamagedData, mnist
from optbench.problems.download import DownloadFailed, download
from optbench.problems.mnist import IdxFile, parse_idx, read_idx
from optbench.problems.module import module_problem
from optbench.problems.problem import Problem, adopt

SHAPE = (2, 3)
WHOLE = struct.pack(">3I", 0x802, *SHAPE) + bytes(range(6))


@fuzzed(200)
@given(
    content=st.binary(max_size=40)
    | st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1),
                st.binary(max_size=20)).map(lambda t: struct.pack(">3I", *t[:3]) + t[3]),
    shape=st.sampled_from([(2, 3), (6,), (1, 1, 1), (60000, 28, 28)]),
)  # fmt: skip
@example(struct.pack(">3I", 0x802, 2**31, 2**31), SHAPE)
@example(struct.pack(">3I", 0x802, 2, 3), SHAPE)
@example(WHOLE + b"x", SHAPE)
def test_any_bytes_as_an_idx_file(content: bytes, shape: tuple[int, ...]) -> None:
    refusal = works_or_is_refused(lambda: parse_idx(content, shape, "file.gz"))
    assert refusal.startswith("file.gz: ") or not refusal
    assert bool(refusal) is (content != WHOLE or shape != SHAPE or len(content) != len(WHOLE)) or (
        parse_idx(content, shape, "").shape == shape
    )


def idx_of(content: bytes) -> IdxFile:
    return IdxFile("a.gz", hashlib.md5(content, usedforsecurity=False).hexdigest(), SHAPE)


@fuzzed(100)
@given(content=st.binary(max_size=200) | st.binary(max_size=200).map(gzip.compress))
@example(gzip.compress(WHOLE))
@example(gzip.compress(WHOLE)[:-1])
def test_any_packed_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "idx"
    folder.mkdir(exist_ok=True)
    (folder / "a.gz").write_bytes(content)
    works_or_is_refused(lambda: read_idx(folder, idx_of(content)))


def test_what_is_no_official_file_is_not_unpacked(tmp_path: Path) -> None:
    # A gigabyte of zeros in a megabyte: it is refused by its size, and a smaller one by its md5.
    bomb = gzip.compress(bytes(2**27), 9)
    (tmp_path / "a.gz").write_bytes(bomb)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DamagedData, match="at most 65,542 are read"):
        read_idx(tmp_path, idx_of(bomb))
    (tmp_path / "a.gz").write_bytes(bomb[:60_000])
    with pytest.raises(DamagedData, match="its md5 is"):
        read_idx(tmp_path, idx_of(WHOLE))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**16  # kB


def test_a_device_is_no_data(tmp_path: Path) -> None:
    (tmp_path / "a.gz").symlink_to("/dev/zero")
    with pytest.raises(DamagedData, match="it is not a plain file"):
        read_idx(tmp_path, idx_of(WHOLE))


class Endless(BaseHTTPRequestHandler):
    """A mirror that sends as long as somebody listens."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(bytes(2**16))
        except OSError:
            pass

    def log_message(self, *_: Any) -> None:
        """Nothing."""


def test_a_mirror_that_never_ends_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mnist, "IDX_FILES", {"train_x": IdxFile("a.gz", "0" * 32, (400, 400))})
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    server = HTTPServer(("127.0.0.1", 0), Endless)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        with pytest.raises(DownloadFailed, match="it has more than 225,536 bytes"):
            download(tmp_path, f"http://127.0.0.1:{server.server_port}/")
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 225_536


class Made(Problem):
    """A stranger's problem; what its start gives is set on the class."""

    family = "made"
    gives: Any = None

    def start(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return self.gives


@fuzzed(150)
@given(
    row=st.fixed_dictionaries(
        {},
        optional={
            "budget": numbers, "target": numbers, "minimum": numbers,
            "targets": st.lists(st.floats(), max_size=3).map(tuple), "cite": texts,
        },
    ),
    gives=st.sampled_from([{}, {"x": np.zeros(2)}, {"x": [1]}, None, 3, {"x": np.zeros(0)}]),
)  # fmt: skip
@example({"minimum": 10**400}, {"x": np.zeros(2)})
@example({"budget": float("nan")}, {"x": np.zeros(2)})
def test_any_problem_of_a_stranger(row: dict[str, Any], gives: Any) -> None:
    def make() -> Problem:
        made = Made("made", **row)
        made.gives = gives
        return made

    # As it is named on the command line: what the constructor refuses is told with its words.
    made: list[Problem] = []
    works_or_is_refused(lambda: made.append(adopt(make, "module:make")))
    for problem in made:
        assert np.isfinite(problem.minimum)
        assert problem.budget >= 1


@fuzzed(100)
@given(
    lengths=st.tuples(*[st.integers(0, 2).map(lambda n: 20 * n)] * 4),
    options=st.fixed_dictionaries(
        {"budget": numbers | st.just(9), "batch_size": numbers | st.integers(1, 20)},
        optional={ "observe_every": numbers, "minimum": numbers,
                  "target": st.sampled_from([0.5, 0.1, 7.0]), "version": numbers},
    ),
)  # fmt: skip
def test_any_module_problem(lengths: tuple[int, ...], options: dict[str, Any]) -> None:
    x, y, held_x, held_y = (np.zeros((n, 2), dtype=np.float32) for n in lengths)

    def make() -> Problem:
        return module_problem(
            "own", lambda: torch.nn.Linear(2, 2), torch.nn.functional.mse_loss, (x, y),
            (held_x, held_y), **options,
        )  # fmt: skip

    made: list[Problem] = []
    works_or_is_refused(lambda: made.append(adopt(make, "module:make")))
    for problem in made:
        assert isinstance(problem.budget, int)
        assert lengths[0] == lengths[1] >= options["batch_size"]
        assert next(iter(problem.batches(np.random.default_rng(0)) or ())).dtype == np.int64
