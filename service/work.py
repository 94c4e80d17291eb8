"""Work that a service does itself, in threads beside its requests."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
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
    """Looks at the forges now and then while the block is entered, and, where no workers are told, does what follows."""
    from codequarry.ingest.jobs import LocalQueue

    stop = threading.Event()
    loops = [_poll, _jobs] if isinstance(backend.queue, LocalQueue) else [_poll]
    threads = [
        threading.Thread(target=_kept_up, args=(loop, backend, stop), name=loop.__name__, daemon=True) for loop in loops
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        end = time.monotonic() + _END_S
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))


def _kept_up(loop: Callable[[Backend, threading.Event], None], backend: Backend, stop: threading.Event) -> None:
    """Runs a loop until it is to stop, and begins it again when it fails: what it needs may be down for a while."""
    while not stop.is_set():
        try:
            loop(backend, stop)
        except CodequarryError as error:
            _log.warning("no work can be done: %s", error)
        except Exception:  # a fault of ours must not end the work of the service for good
            _log.exception("the loop %s ended by itself", loop.__name__)
        stop.wait(_RETRY_S)


def _jobs(backend: Backend, stop: threading.Event) -> None:
    """Does the jobs of the ledger, over a store of its own."""
    from codequarry.ingest.jobs import LocalQueue, Runner
    from codequarry.store import open_store

    store = open_store(backend.location, create=True, settings=backend.settings)
    try:
        Runner(store, backend.ledger, backend.queue or LocalQueue(), backend.settings, isolate=True).loop(stop)
    finally:
        store.close()


def _poll(backend: Backend, stop: threading.Event) -> None:
    """Asks for looks at the forges."""
    from codequarry.ingest.poller import Poller

    Poller(backend.ledger, backend.queue, backend.settings.poll_interval_s).loop(stop)
