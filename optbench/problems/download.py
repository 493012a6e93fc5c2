"""Download the official MNIST files: resumable, checked by md5, from any mirror.

A file arrives as ``NAME.part`` beside its place and takes its name only once its md5 is right:
what carries an official name is whole, whenever the download was cut short.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from optbench.problems import mnist

DEFAULT_MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"
"""The mirror that torchvision downloads from."""

MIRROR_VARIABLE = "OPTBENCH_MIRROR"
"""The environment variable that names another mirror; the command line reads it."""

TIMEOUT = 30.0
"""Seconds without a byte from the mirror."""

CHUNK = 1 << 16

Progress = Callable[[str, int, int | None], None]
"""Called with a file's name, the bytes that are there, and its size where it is known."""


class DownloadFailed(RuntimeError):
    """A file could not be had from this mirror; the text says which, and what can be done."""


def download(
    folder: Path, mirror: str = DEFAULT_MIRROR, progress: Progress | None = None
) -> list[Path]:
    """Bring the four official files into a folder, which is made where there is none.

    A file that is there with the right md5 is not fetched again, a damaged one is replaced, and
    an unfinished one is continued where it ended. Each file is asked for once: a transfer that
    fails is continued by the next call.

    Parameters
    ----------
    folder
        Where the files go.
    mirror
        Address of the folder that holds them, http or https.
    progress
        Called as bytes arrive, see `Progress`.

    Returns
    -------
    list of Path
        The four files, each with the right md5.

    Raises
    ------
    ValueError
        Where the mirror is no http or https address.
    DownloadFailed
        Without a network, on an HTTP error, a broken transfer, or a wrong md5.
    OSError
        Where the folder cannot be made or written to.
    """
    base = _checked_mirror(mirror)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        code = errno.ENOTDIR
        raise NotADirectoryError(code, os.strerror(code), str(folder)) from error
    files = []
    for idx in mnist.IDX_FILES.values():
        file = folder / idx.name
        report = _reporter(idx.name, progress)
        if _md5(file) != idx.md5:
            _fetch(base + idx.name, file, idx, report)
        size = file.stat().st_size
        report(size, size)
        files.append(file)
    return files


def _checked_mirror(mirror: str) -> str:
    wrong = (
        f"{mirror!r} is not a mirror: its address must begin with http:// or https:// "
        f"(such as {DEFAULT_MIRROR})"
    )
    try:
        parts = urlsplit(mirror)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise ValueError(f"{wrong}: {error}") from error
    if not usable:
        raise ValueError(wrong)
    return mirror.rstrip("/") + "/"


Report = Callable[[int, int | None], None]


def _reporter(name: str, progress: Progress | None) -> Report:
    def report(done: int, total: int | None) -> None:
        if progress:
            progress(name, done, total)

    return report


def _fetch(url: str, file: Path, idx: mnist.IdxFile, report: Report) -> None:
    """Fetch one file through its ``.part``, and give it its name once its md5 is right."""
    part = file.with_name(file.name + ".part")
    began: int | None = None
    # At most two transfers: a .part left by another mirror or an older attempt may not fit
    # what follows it, and only the finished file's md5 can tell. Then the whole is fetched.
    while (found := _md5(part)) != idx.md5:
        if began == 0:
            size = part.stat().st_size
            part.unlink()
            raise _failed(
                f"not the official file: {size:,} bytes with md5 {found}, not {idx.md5}",
                url, file.parent,
            )  # fmt: skip
        start = part.stat().st_size if began is None and part.exists() else 0
        began = _transfer(url, part, start, idx.most, report)
    part.replace(file)


def _transfer(url: str, part: Path, start: int, most: int, report: Report) -> int:
    """Append to ``part`` what follows byte ``start``, or write all of it.

    Returns the byte at which the mirror began: ``start``, or 0 where it does not know ranges.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "optbench"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if start and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return start  # nothing follows: the .part is as long as the file, or longer
        raise _failed(f"HTTP {error.code} {error.reason}", url, part.parent) from error
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        raise _failed(_words(error), url, part.parent) from error
    with answer:
        if start and answer.status == http.client.PARTIAL_CONTENT:
            if not (answer.headers["Content-Range"] or "").startswith(f"bytes {start}-"):
                return start  # another range than the one asked for: of no use
        else:
            start = 0
        total = None if answer.length is None else start + answer.length
        done = start
        report(done, total)
        with part.open("ab" if start else "wb") as file:
            for chunk in _chunks(answer, url, part.parent):
                if done + len(chunk) > most:
                    # Else a mirror that never ends would fill the disk.
                    text = f"not the official file: it has more than {most:,} bytes"
                    raise _failed(text, url, part.parent)
                file.write(chunk)
                done += len(chunk)
                report(done, total)
    if total is not None and done < total:
        # http.client gives a short read, not an error, where the other side hangs up.
        raise _failed(f"the connection ended after {done:,} of {total:,} bytes", url, part.parent)
    return start


def _chunks(answer: Any, url: str, folder: Path) -> Iterator[bytes]:
    """Yield the body; errors in writing are thus not taken for network errors."""
    while True:
        try:
            chunk: bytes = answer.read(CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _failed(f"the transfer broke off: {_words(error)}", url, folder) from error
        if not chunk:
            return
        yield chunk


def _md5(path: Path) -> str | None:
    """Return the file's md5 in hexadecimal; None where there is no file."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    except FileNotFoundError:
        return None
    return digest.hexdigest()


def _words(error: Exception) -> str:
    """Return the cause of an error, without urllib's wrapping and the errno."""
    reason = getattr(error, "reason", error)
    return getattr(reason, "strerror", None) or str(reason) or type(reason).__name__


def _failed(what: str, url: str, folder: Path) -> DownloadFailed:
    lacking = [idx for idx in mnist.IDX_FILES.values() if _md5(folder / idx.name) != idx.md5]
    by_hand = ", ".join(f"{idx.name} (md5 {idx.md5})" for idx in lacking)
    return DownloadFailed(
        f"cannot download {url}: {what}\n"
        f"Run the command again to resume, name another mirror (--mirror URL or "
        f"{MIRROR_VARIABLE}=URL), or put the files into {folder} by hand: {by_hand}"
    )
