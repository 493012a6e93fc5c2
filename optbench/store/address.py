"""Where a store is: a URL or the path of a file, and how it is shown."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from optbench.store.errors import StoreError, no_store

SQLITE_MAGIC = b"SQLite format 3\0"
"""First bytes of every SQLite file (sqlite.org/fileformat.html, 1.3)."""

POSTGRESQL = {"postgresql", "postgres"}
"""Schemes that name no driver: psycopg 3 is the one that we install."""


def parsed(url: str) -> URL:
    """Return the URL of a store; what is no URL is the path of a SQLite file.

    Raises
    ------
    StoreError
        Where it is neither.
    """
    if not url:
        raise StoreError("the store has no name; name a file, such as .optbench/results.sqlite")
    if "\0" in url or url != url.encode("utf-8", "replace").decode("utf-8"):
        raise StoreError(f"{_hidden(url)!r} is not a store: it is not valid text")
    if "://" not in url:
        return URL.create("sqlite", database=url)
    try:
        parsed = make_url(url)
        if parsed.drivername in POSTGRESQL:
            parsed = parsed.set(drivername="postgresql+psycopg")
        parsed.get_dialect()
    # ValueError: a port that is no number.
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
        raise StoreError(
            f"{_hidden(url)!r} is not a store: {str(error).splitlines()[0]}"
        ) from error
    return parsed


def shown(url: URL) -> str:
    """Return a URL without passwords, which may stand behind the question mark, too."""
    if url.get_backend_name() != "sqlite":
        url = url.set(query={})
    return url.render_as_string(hide_password=True)


def public(store: str, top: Path) -> str:
    """Return a store's address without what a URL may hold of users, passwords and options.

    Of a path within ``top`` the rest, of any other the file's name.
    """
    if "://" in store:
        try:
            url = make_url(store)
            bare = url._replace(username=None, password=None, query={}, host=_host(url))  # type: ignore[arg-type]
            return bare.render_as_string()
        # A port that is no number, a lone surrogate.
        except (ArgumentError, ValueError):
            return "a store"
    file = Path(store)
    if not file.is_absolute():
        return store
    return str(file.relative_to(top)) if file.is_relative_to(top) else file.name


def _host(url: URL) -> str | None:
    """Return the host without what stands before an @ that belongs to a password."""
    return url.host.rpartition("@")[2] if url.host else url.host


def _hidden(url: str) -> str:
    return re.sub(r"(://[^:/@]*):.*@", r"\1:***@", url).partition("?")[0]


def prepare_file(url: URL, *, create: bool) -> None:
    """Make sure that a SQLite file may be opened: its folder, and that it is none of others.

    Raises
    ------
    StoreError
        Where it may not; nothing is changed then.
    """
    name = url.database
    if url.get_backend_name() != "sqlite" or name in (None, "", ":memory:"):
        return
    # What SQLite reads as a URI of its own; else it is a file of such a name.
    if name.startswith("file:") and "uri" in url.query:
        return
    path = Path(name)
    if path.is_dir():
        raise StoreError(
            f"the store {path} is a folder; name a file, such as {path}/results.sqlite"
        )
    if path.exists():
        # SQLite takes a file shorter than its header for an empty database, and overwrites it.
        if path.is_file() and _head(path) not in (b"", SQLITE_MAGIC):
            raise StoreError(f"cannot open the store {shown(url)}: file is not a database")
        return
    if not create:
        raise no_store(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make the folder of the store {path}: {error}") from error


def readable(url: URL) -> URL:
    """Return the URL that opens a file to read where nothing may be written beside it.

    SQLite keeps an index of the write-ahead log there, also to read; where nobody can write,
    there is no need of one, unless a log was left (sqlite.org/wal.html, "Read-Only Databases").
    """
    name = url.database
    if url.get_backend_name() != "sqlite" or not name or name.startswith((":", "file:")):
        return url
    path = Path(name)
    log = path.with_name(f"{path.name}-wal")
    if os.access(path.parent, os.W_OK) or (log.exists() and log.stat().st_size):
        return url
    query = {"mode": "ro", "immutable": "1", "uri": "true"}
    return url.set(database=path.resolve().as_uri(), query=query)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(len(SQLITE_MAGIC))
    except OSError:
        return b""  # Opening it will say why.
