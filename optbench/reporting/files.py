"""Writing a report's files: names that cannot leave the folder, contents that are never half."""

from __future__ import annotations

import re
import unicodedata
import zlib
from pathlib import Path

from optbench.whole_files import write_whole

LONGEST = 60


def slug(name: str) -> str:
    """Return a file name from any text: lower-case ASCII letters, digits and dashes.

    A name that had to be changed gets a checksum of the original, so that two of them do not
    become one file.
    """
    ascii_ = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    safe = re.sub(r"[^a-z0-9]+", "-", ascii_.lower()).strip("-")[:LONGEST]
    if safe and safe == name:
        return safe
    return f"{safe or 'x'}-{zlib.crc32(name.encode('utf-8', 'surrogatepass')):08x}"


class Folder:
    """A folder that a report is written into, and nothing outside it.

    Each file appears whole or not at all: it is written beside its place and moved there.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self._inside = root.resolve()

    def write(self, relative: str, content: str | bytes) -> Path:
        """Write a file, text as UTF-8 with newlines as they are; returns its path."""
        path = self.root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.parent.resolve().is_relative_to(self._inside):
            raise PermissionError(f"{relative!r} would lie outside {self.root}: a link leads there")
        # A lone surrogate, as from an undecodable file name, must not stop the report.
        raw = content if isinstance(content, bytes) else content.encode("utf-8", "replace")
        write_whole(path, raw)
        return path
