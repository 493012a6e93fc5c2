"""The download, against a mirror on the loopback: no test here leaves the machine."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import re
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from optbench.problems import download as downloads
from optbench.problems import mnist
from optbench.problems.download import DownloadFailed, download

TRAIN_X = "train-images-idx3-ubyte.gz"


class Mirror(http.server.ThreadingHTTPServer):
    """Serves ``files``, notes each request, and misbehaves as it is told to."""

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files = files
        self.requests: list[tuple[str, str | None]] = []
        self.knows_ranges = True
        self.wrong_range = False
        self.says_length = True
        self.cut: int | None = None  # hang up after so many bytes of the body
        self.stall = threading.Event()
        self.stall.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/mnist/"


class Answer(http.server.BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        name = self.path.removeprefix("/mnist/")
        asked = self.headers["Range"]
        self.server.requests.append((name, asked))
        content = self.server.files.get(name)
        if content is None:
            self.send_error(404)
            return
        first = 0
        if asked and self.server.knows_ranges:
            found = re.fullmatch(r"bytes=(\d+)-", asked)
            assert found
            first = int(found[1])
            if first >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            start = first + 1 if self.server.wrong_range else first
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        body = content[first:]
        if self.server.says_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.cut])
        self.wfile.flush()
        self.server.stall.wait(10)

    def log_message(self, *_: object) -> None:
        """Requests are noted in a list, not printed."""


def packed_idx(array: np.ndarray) -> bytes:
    header = struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape)
    return gzip.compress(header + array.astype(np.uint8).tobytes(), mtime=0)


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Small files under the official names, and the catalogue of their md5s in place."""
    rng = np.random.default_rng(7)
    shapes = {"train_x": (6, 4, 4), "train_y": (6,), "held_x": (3, 4, 4), "held_y": (3,)}
    made, catalogue = {}, {}
    for part, shape in shapes.items():
        name = mnist.IDX_FILES[part].name
        made[name] = packed_idx(rng.integers(0, 10, shape))
        catalogue[part] = mnist.IdxFile(name, hashlib.md5(made[name]).hexdigest(), shape)
    monkeypatch.setattr(mnist, "IDX_FILES", catalogue)
    return made


@pytest.fixture
def mirror(files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    monkeypatch.setenv("no_proxy", "*")
    with Mirror(dict(files)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.stall.set()
        server.shutdown()
        thread.join()


def installed(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def without(folder: Path, files: dict[str, bytes], lacking: str) -> Path:
    """A folder with every file but one."""
    for name, content in files.items():
        if name != lacking:
            (folder / name).write_bytes(content)
    return folder / f"{lacking}.part"


def test_a_new_folder_gets_the_four_files(
    tmp_path: Path, mirror: Mirror, files: dict[str, bytes]
) -> None:
    folder = tmp_path / "new" / "mnist"
    paths = download(folder, mirror.url)
    assert installed(folder) == files
    assert paths == [folder / name for name in files]
    assert mirror.requests == [(name, None) for name in files]


def test_the_mirrors_address_needs_no_closing_slash(
    tmp_path: Path, mirror: Mirror, files: dict[str, bytes]
) -> None:
    download(tmp_path, mirror.url.rstrip("/"))
    assert installed(tmp_path) == files


def test_what_is_there_is_not_fetched_again(tmp_path: Path, mirror: Mirror) -> None:
    first = download(tmp_path, mirror.url)
    mirror.requests.clear()
    assert download(tmp_path, mirror.url) == first
    assert mirror.requests == []


@pytest.mark.parametrize("damage", [b"", b"no gzip", None], ids=["empty", "other", "truncated"])
def test_a_damaged_file_alone_is_replaced(
    damage: bytes | None, tmp_path: Path, mirror: Mirror, files: dict[str, bytes]
) -> None:
    download(tmp_path, mirror.url)
    mirror.requests.clear()
    (tmp_path / TRAIN_X).write_bytes(files[TRAIN_X][:-1] if damage is None else damage)
    download(tmp_path, mirror.url)
    assert installed(tmp_path) == files
    assert mirror.requests == [(TRAIN_X, None)]


def test_an_unfinished_file_is_continued_where_it_ended(
    tmp_path: Path, mirror: Mirror, files: dict[str, bytes]
) -> None:
    without(tmp_path, files, TRAIN_X).write_bytes(files[TRAIN_X][:10])
    download(tmp_path, mirror.url)
    assert installed(tmp_path) == files
    assert mirror.requests == [(TRAIN_X, "bytes=10-")]


def test_a_finished_part_needs_no_request(
    tmp_path: Path, mirror: Mirror, files: dict[str, bytes]
) -> None:
    without(tmp_path, files, TRAIN_X).write_bytes(files[TRAIN_X])
    download(tmp_path, mirror.url)
    assert installed(tmp_path) == files
    assert mirror.requests == []


def test_an_empty_part_is_fetched_without_a_range(
    tmp_path: Path, mirror: Mirror, files: dict[str, bytes]
) -> None:
    without(tmp_path, files, TRAIN_X).write_bytes(b"")
    download(tmp_path, mirror.url)
    assert installed(tmp_path) == files
    assert mirror.requests == [(TRAIN_X, None)]


def test_a_mirror_that_ignores_ranges_sends_the_whole_once(
    tmp_path: Path, mirror: Mirror, files: dict[str, bytes]
) -> None:
    mirror.knows_ranges = False
    without(tmp_path, files, TRAIN_X).write_bytes(files[TRAIN_X][:10])
    download(tmp_path, mirror.url)
    assert installed(tmp_path) == files
    assert len(mirror.requests) == 1


@pytest.mark.parametrize("size", [10, None, 1000], ids=["short", "as long", "too long"])
def test_a_part_that_does_not_fit_is_started_over(
    size: int | None, tmp_path: Path, mirror: Mirror, files: dict[str, bytes]
) -> None:
    size = size or len(files[TRAIN_X])
    without(tmp_path, files, TRAIN_X).write_bytes(b"?" * size)
    download(tmp_path, mirror.url)
    assert installed(tmp_path) == files
    assert mirror.requests == [(TRAIN_X, f"bytes={size}-"), (TRAIN_X, None)]


def test_a_range_that_was_not_asked_for_is_not_appended(
    tmp_path: Path, mirror: Mirror, files: dict[str, bytes]
) -> None:
    mirror.wrong_range = True
    without(tmp_path, files, TRAIN_X).write_bytes(files[TRAIN_X][:10])
    download(tmp_path, mirror.url)
    assert installed(tmp_path) == files
    assert mirror.requests == [(TRAIN_X, "bytes=10-"), (TRAIN_X, None)]


def test_an_interrupted_transfer_is_kept_and_continued(
    tmp_path: Path, mirror: Mirror, files: dict[str, bytes]
) -> None:
    mirror.cut = 12
    total = len(files[TRAIN_X])
    with pytest.raises(DownloadFailed, match=f"ended after 12 of {total} bytes"):
        download(tmp_path, mirror.url)
    assert installed(tmp_path) == {f"{TRAIN_X}.part": files[TRAIN_X][:12]}
    with pytest.raises(DownloadFailed, match=f"ended after 24 of {total} bytes"):
        download(tmp_path, mirror.url)  # cut again, from there on
    mirror.cut = None
    mirror.requests.clear()
    download(tmp_path, mirror.url)
    assert installed(tmp_path) == files
    assert mirror.requests[0] == (TRAIN_X, "bytes=24-")


def test_a_mirror_that_falls_silent_is_given_up(
    tmp_path: Path, mirror: Mirror, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "TIMEOUT", 0.1)
    mirror.stall.clear()
    mirror.cut = 12
    with pytest.raises(DownloadFailed, match="broke off: timed out"):
        download(tmp_path, mirror.url)
    assert TRAIN_X not in installed(tmp_path)


def test_another_file_is_not_installed_and_not_kept(tmp_path: Path, mirror: Mirror) -> None:
    mirror.files[TRAIN_X] = b"<html>please log in</html>"
    found = hashlib.md5(mirror.files[TRAIN_X]).hexdigest()
    wanted = mnist.IDX_FILES["train_x"].md5
    with pytest.raises(
        DownloadFailed, match=f"not the official file: 26 bytes with md5 {found}, not {wanted}"
    ):
        download(tmp_path, mirror.url)
    assert installed(tmp_path) == {}
    assert len(mirror.requests) == 1


def test_without_a_length_the_md5_tells_that_bytes_are_missing(
    tmp_path: Path, mirror: Mirror
) -> None:
    mirror.says_length = False
    mirror.cut = 12
    with pytest.raises(DownloadFailed, match="not the official file: 12 bytes"):
        download(tmp_path, mirror.url)
    assert installed(tmp_path) == {}


def test_a_failed_repair_leaves_everything_as_it_was(
    tmp_path: Path, mirror: Mirror, files: dict[str, bytes]
) -> None:
    download(tmp_path, mirror.url)
    (tmp_path / TRAIN_X).write_bytes(b"damaged")
    del mirror.files[TRAIN_X]
    with pytest.raises(DownloadFailed):
        download(tmp_path, mirror.url)
    assert installed(tmp_path) == {**files, TRAIN_X: b"damaged"}


def test_a_missing_file_is_named_with_every_way_out(
    tmp_path: Path, mirror: Mirror, files: dict[str, bytes]
) -> None:
    labels = "t10k-labels-idx1-ubyte.gz"
    del mirror.files[labels]
    with pytest.raises(DownloadFailed) as caught:
        download(tmp_path, mirror.url)
    what, advice = str(caught.value).splitlines()
    assert what == f"cannot download {mirror.url}{labels}: HTTP 404 Not Found"
    assert advice == (
        "Run the command again to resume, name another mirror (--mirror URL or "
        f"OPTBENCH_MIRROR=URL), or put the files into {tmp_path} by hand: "
        f"{labels} (md5 {hashlib.md5(files[labels]).hexdigest()})"
    )


def test_no_connection_is_a_clear_error(tmp_path: Path, mirror: Mirror) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(DownloadFailed, match="Connection refused") as caught:
        download(tmp_path, f"http://127.0.0.1:{port}")
    message = str(caught.value)
    assert f"http://127.0.0.1:{port}/{TRAIN_X}" in message
    for idx in mnist.IDX_FILES.values():
        assert f"{idx.name} (md5 {idx.md5})" in message
    assert len(message.splitlines()) == 2


@pytest.mark.parametrize("mirror_", ["http://a..b/", "http://127.0.0.1/a b\n/"])
def test_an_address_that_cannot_be_asked_is_a_clear_error(
    mirror_: str, tmp_path: Path, mirror: Mirror
) -> None:
    with pytest.raises(DownloadFailed, match="cannot download http://"):
        download(tmp_path, mirror_)


@pytest.mark.parametrize(
    "wrong", ["", "mnist", "file:///etc/", "ftp://127.0.0.1/", "http://", "http://[::1", "https://a:b/"]
)  # fmt: skip
def test_only_web_addresses_are_mirrors(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must begin with http:// or https://"):
        download(tmp_path / "new", wrong)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["taken", "taken/below"])
def test_a_file_is_no_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(NotADirectoryError) as caught:
        download(tmp_path / name)
    assert caught.value.filename == str(tmp_path / name)


def test_an_error_in_writing_is_not_taken_for_the_networks(tmp_path: Path, mirror: Mirror) -> None:
    (tmp_path / f"{TRAIN_X}.part").mkdir()
    with pytest.raises(IsADirectoryError):
        download(tmp_path, mirror.url)


def test_progress_counts_from_what_is_there_to_the_whole(
    tmp_path: Path, mirror: Mirror, files: dict[str, bytes]
) -> None:
    without(tmp_path, files, TRAIN_X).write_bytes(files[TRAIN_X][:10])
    seen: dict[str, list[tuple[int, int | None]]] = {}
    download(tmp_path, mirror.url, lambda name, *counts: seen.setdefault(name, []).append(counts))
    assert list(seen) == list(files)
    assert {name: counts[-1] for name, counts in seen.items()} == {
        name: (len(content), len(content)) for name, content in files.items()
    }
    assert seen[TRAIN_X][0] == (10, len(files[TRAIN_X]))
    done = [count for count, _ in seen[TRAIN_X]]
    assert done == sorted(done)
