"""Work that a service does itself, in a thread beside its requests, where no Redis carries it to workers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from codequarry.errors import CodequarryError

if TYPE_CHECKING:
    from codequarry.service.backend import Backend

_RETRY_S = 5.0
_END_S = 20.0  # how long a run that is under way is given to stop; what it has done is kept

_log = logging.getLogger("codequarry.service")


@contextmanager
def working(backend: Backend) -> Iterator[None]:
    """Does what the ledger says while the block is entered. The store is opened anew until it can be."""
    stop = threading.Event()
    thread = threading.Thread(target=_loop, args=(backend, stop), name="jobs", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(_END_S)


def _loop(backend: Backend, stop: threading.Event) -> None:
    from codequarry.ingest.jobs import LocalQueue, Runner
    from codequarry.store import open_store

    queue = backend.queue if backend.queue is not None else LocalQueue()
    while not stop.is_set():
        try:
            store = open_store(backend.location, create=True, settings=backend.settings)
        except CodequarryError as error:
            _log.warning("no work can be done: %s", error)
            stop.wait(_RETRY_S)
            continue
        try:
            Runner(store, backend.ledger, queue, backend.settings).loop(stop)
        except Exception:
            _log.exception("the loop of jobs ended by itself")
            stop.wait(_RETRY_S)
        finally:
            store.close()
