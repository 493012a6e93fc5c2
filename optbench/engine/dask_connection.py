"""The way to a Dask scheduler: where it is, who is let in, and how one takes leave."""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import re
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

from optbench.errors import OptbenchError
from optbench.plain_text import printable
from optbench.whole_files import read_whole

if TYPE_CHECKING:
    import distributed

    from optbench.engine.local_cluster import LocalCluster

CONNECT_S = 20.0
"""Seconds for the scheduler to answer."""

CLOSE_S = 5.0
"""Seconds for the connection to be closed."""


class ClusterError(OptbenchError, RuntimeError):
    """Something is wrong with the cluster that the user can mend; the text says what."""


class NoScheduler(ClusterError):
    """There is no scheduler there, or it does not let us in."""


def local_cluster(where: str) -> LocalCluster | None:
    """The cluster that ``local:N`` asks for; None where something else is asked for.

    Raises
    ------
    ClusterError
        Where N is no number of workers, or they do not come.
    """
    kind, _, number = where.partition(":")
    if kind != "local":
        return None
    if not (number.isascii() and number.isdigit()) or not 1 <= int(number) <= 512:
        raise ClusterError(f"a cluster here is local:N with N worker processes, not {where!r}")
    from optbench.engine.local_cluster import LocalCluster

    try:
        return LocalCluster(int(number))
    except RuntimeError as error:
        raise NoScheduler(str(error)) from error


def address_of(where: str) -> str:
    """The address of a scheduler, as it is or from its file.

    Raises
    ------
    NoScheduler
        Where there is no such file.
    """
    if re.match(r"[a-z]+://", where):
        return where
    try:
        address = json.loads(read_whole(Path(where)))["address"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        if re.fullmatch(r"[\w.-]+:\d+", where):
            raise NoScheduler(f"{where}: did you mean tcp://{where}?") from error
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        raise NoScheduler(
            f"{where}: no scheduler file: {reason} (a cluster is tcp://HOST:PORT, tls://HOST:PORT, "
            "local:N, or the file that dask scheduler --scheduler-file wrote)"
        ) from error
    return str(address)


def client_of(address: str, security: Mapping[str, str] | None) -> distributed.Client:
    """A client that unpickles nothing by itself.

    Raises
    ------
    NoScheduler
        Where nobody answers, or does not let us in.
    """
    made: Future[distributed.Client] = Future()
    patience_s = 2 * CONNECT_S
    # Dask waits for ever for a peer that takes the connection and says nothing, as a scheduler does
    # that was stopped. Then it does so in a thread that ends with this process.
    threading.Thread(target=_begin, args=(made, address, security), daemon=True).start()
    try:
        client = made.result(patience_s)
    # TypeError: of a missing certificate; ValueError: an address that is none.
    except (OSError, TypeError, ValueError, RuntimeError, ImportError) as error:
        refusal = reasons(error) if made.done() else f"it said nothing for {patience_s:g} s"
    else:
        # Workers' prints are no part of our report, and their warnings travel pickled.
        for topic in ("print", "warn"):
            client.unsubscribe_topic(topic)
        return client
    # What is left of a client closes itself now, while its event loop still runs.
    gc.collect()
    tls = (
        "; for tls:// the certificates are those of DASK_DISTRIBUTED__COMM__TLS__CA_FILE, "
        "..._CLIENT__CERT and ..._CLIENT__KEY, and the CA must be the cluster's"
    )
    raise NoScheduler(
        f"no Dask scheduler at {address} lets us in: {refusal}"
        + (tls if address.startswith("tls:") else "")
    )


def _begin(
    made: Future[distributed.Client], address: str, security: Mapping[str, str] | None
) -> None:
    import distributed

    try:
        client = distributed.Client(
            address,
            # From Dask's configuration where it is not ours.
            security=distributed.Security(**security) if security else None,
            timeout=CONNECT_S,
            set_as_default=False,
            deserializers=["msgpack"],
            direct_to_workers=False,
        )
    # It is raised again by whoever waits for the client.
    except BaseException as error:  # noqa: BLE001
        made.set_exception(error)
    else:
        made.set_result(client)


def close(client: distributed.Client) -> None:
    """Take leave of the scheduler, if there is one."""
    if stopped_listening(client):
        # It would raise again what it would not read.
        client._handle_report_task = None
    # Where there is no scheduler any more, there is nobody to take leave of.
    with contextlib.suppress(TimeoutError, OSError):
        client.close(timeout=CLOSE_S)


def stopped_listening(client: distributed.Client) -> bool:
    """Whether nothing that the scheduler may say arrives any more, for a reason of the client's.

    One that was sent what it refuses to read stays "running", and Dask has no public word for it.
    """
    listening = getattr(client, "_handle_report_task", None)
    return listening is not None and bool(listening.done())


def reasons(error: BaseException | None) -> str:
    """What an exception and those behind it say."""
    said: list[str] = []
    while error is not None and len(said) < 4:
        # Dask begins with an object and its place in memory.
        text = re.sub(r"^in <[^>]*>: ", "", printable(str(error) or type(error).__name__))
        if text not in " ".join(said):
            said.append(text)
        error = error.__cause__ or error.__context__
    return "; ".join(said)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What Dask logs is not for the user's terminal, unless its configuration asks for it."""
    import dask

    if dask.config.get("logging", None):
        yield
        return
    loggers = [
        logging.getLogger(name)
        for name in (*logging.root.manager.loggerDict, "distributed", "tornado", "asyncio")
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio")
    ]
    before = [(logger, logger.level) for logger in loggers]
    for logger in loggers:
        if logger.level or logger.name in ("distributed", "tornado", "asyncio"):
            logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in before:
            logger.setLevel(level)
