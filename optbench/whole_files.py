"""Files that are the old one or the new one, whenever somebody looks, and whatever ends us."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path

MOST = 100 * 2**20
"""Bytes of a file of settings or results that are read: one that is larger is none."""


def read_whole(path: Path, most: int = MOST) -> bytes:
    """Read a file that may come from elsewhere.

    Raises
    ------
    OSError
        Also where it is not a plain file (a pipe never ends) or holds more than ``most`` bytes.
    """
    # Without waiting: opened to be read, a pipe waits for one who writes.
    with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
        about = os.fstat(file.fileno())
        if stat.S_ISDIR(about.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "it is not a plain file", str(path))
        if about.st_size > most:
            large = f"it has {about.st_size:,} bytes, and at most {most:,} are read"
            raise OSError(errno.EFBIG, large, str(path))
        return file.read(most)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside its place and move it there; folders are made, a file's mode is kept.

    Raises
    ------
    OSError
        Where it cannot be written; what was there is there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = path.stat().st_mode & 0o7777 if path.exists() else 0o644
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
