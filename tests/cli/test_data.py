"""``optbench data mnist``, against a mirror on the loopback."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from optbench.cli.data import app
from optbench.problems import mnist


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """The output under test is the command's."""


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serves small files under the official names; their md5s are the catalogue's."""
    served = tmp_path / "served"
    served.mkdir()
    shapes = {"train_x": (6, 4, 4), "train_y": (6,), "held_x": (3, 4, 4), "held_y": (3,)}
    catalogue = {}
    for part, shape in shapes.items():
        values = np.arange(np.prod(shape), dtype=np.uint8) % 10
        header = struct.pack(f">{1 + len(shape)}I", 0x800 + len(shape), *shape)
        packed = gzip.compress(header + values.tobytes(), mtime=0)
        name = mnist.IDX_FILES[part].name
        (served / name).write_bytes(packed)
        catalogue[part] = mnist.IdxFile(name, hashlib.md5(packed).hexdigest(), shape)
    monkeypatch.setattr(mnist, "IDX_FILES", catalogue)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("OPTBENCH_MIRROR", raising=False)
    handler = functools.partial(Quiet, directory=str(served))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


def invoke(*arguments: str | Path) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    result = CliRunner().invoke(app, ["mnist", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def test_it_downloads_and_says_how_to_go_on(mirror: str, tmp_path: Path) -> None:
    folder = tmp_path / "my digits"
    code, out, _ = invoke("--to", folder, "--mirror", mirror)
    assert code == 0
    assert {path.name for path in folder.iterdir()} == {
        idx.name for idx in mnist.IDX_FILES.values()
    }
    assert f"optbench run --data '{folder}'" in out
    assert f"OPTBENCH_DATA='{folder}'" in out
    assert f"python -m optbench.problems.find_minima mnist-logistic --to '{folder}'" in out


def test_what_it_downloads_is_what_the_problems_load(
    mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert invoke("--to", tmp_path / "digits", "--mirror", mirror)[0] == 0
    monkeypatch.setenv(mnist.DATA_VARIABLE, str(tmp_path / "digits"))
    digits = mnist.load()
    assert digits.name == "mnist-70k"
    assert digits.train_y.tolist() == [0, 1, 2, 3, 4, 5]


def test_every_file_has_its_bar_on_stderr(mirror: str, tmp_path: Path) -> None:
    _, out, err = invoke("--to", tmp_path / "digits", "--mirror", mirror)
    for idx in mnist.IDX_FILES.values():
        # In 80 columns Rich may end a long name with an ellipsis.
        assert idx.name[:12] in err
        assert idx.name not in out


def test_the_environment_names_the_mirror(
    mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTBENCH_MIRROR", mirror)
    assert invoke("--to", tmp_path / "digits")[0] == 0
    # ... and --mirror has the last word.
    code, _, err = invoke("--to", tmp_path / "other", "--mirror", f"{mirror}nowhere")
    assert code == 2
    assert f"{mirror}nowhere/train-images-idx3-ubyte.gz: HTTP 404" in err


def test_a_failed_download_is_two_lines_and_exit_2(mirror: str, tmp_path: Path) -> None:
    code, out, err = invoke("--to", tmp_path / "digits", "--mirror", f"{mirror}nowhere")
    assert (code, out) == (2, "")
    assert "again to resume" in err
    assert "--mirror URL or OPTBENCH_MIRROR=URL" in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 2


def test_a_wrong_mirror_is_one_line_and_exit_2(tmp_path: Path) -> None:
    code, out, err = invoke("--to", tmp_path / "digits", "--mirror", "ftp://127.0.0.1/")
    assert (code, out) == (2, "")
    assert "'ftp://127.0.0.1/' is not a mirror: its address must begin with http://" in err
    assert len(err.strip().splitlines()) == 1


def test_a_file_in_the_folders_place_is_one_line_and_exit_2(mirror: str, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_bytes(b"")
    code, out, err = invoke("--to", taken, "--mirror", mirror)
    assert (code, out) == (2, "")
    assert err.strip() == f"cannot write to {taken}: Not a directory"


def test_without_a_folder_it_is_wrong_use() -> None:
    code, _, err = invoke()
    assert code == 2
    assert "--to" in err
