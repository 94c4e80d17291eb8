"""Work that a service does itself, beside its requests.

It looks at the forges from a thread. The jobs of the ledger are done by a process of their own: one interpreter computes one
thing at a time, and a question must not wait for a repository that is being indexed. That process gives way (`job_nice`).
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from codequarry.errors import CodequarryError
from codequarry.ingest.allocator import share_one_heap
from codequarry.ingest.jobs import LocalQueue, Runner

if TYPE_CHECKING:
    from codequarry.service.backend import Backend

_RETRY_S = 5.0
_LOOK_S = 0.5  # so late is it seen that the process has ended
_END_S = 20.0  # how long a run that is under way is given to stop; what it has done is kept

_log = logging.getLogger("codequarry.service")


@contextmanager
def working(backend: Backend) -> Iterator[None]:
    """Looks at the forges now and then while the block is entered, and, where no workers are told, does what follows."""
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
    """Has the jobs of the ledger done by a process of their own, and tells it when there are more."""
    queue, process = backend.queue, _start(backend)
    try:
        while not stop.is_set() and process.poll() is None:
            if isinstance(queue, LocalQueue) and queue.wait(_LOOK_S):
                _tell(process)
    finally:
        _end(process)
    if not stop.is_set():
        _log.warning("the process that indexes ended with %s and is started again", process.returncode)


def _poll(backend: Backend, stop: threading.Event) -> None:
    """Asks for looks at the forges."""
    from codequarry.ingest.poller import Poller

    Poller(backend.ledger, backend.queue, backend.settings.poll_interval_s).loop(stop)


# ----------------------------------------------------------------------------------------------------- the process of the jobs


def _start(backend: Backend) -> subprocess.Popen[bytes]:
    """The process. What it is to work on, secrets among it, goes through its standard input, whose end is the end of its work."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from codequarry.service.work import main; main()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert process.stdin is not None
    level = logging.getLogger().getEffectiveLevel()
    pickle.dump((backend.settings, backend.location, level), process.stdin)
    _tell(process)
    return process


def _tell(process: subprocess.Popen[bytes]) -> None:
    """Says that there is more to do. A process that has ended does not hear it, and the next one looks by itself."""
    assert process.stdin is not None
    with suppress(OSError):
        process.stdin.write(b".")
        process.stdin.flush()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Returns when it has ended; a run that is under way has some seconds to come to its next step."""
    assert process.stdin is not None
    with suppress(OSError):
        process.stdin.close()
    try:
        process.wait(_END_S - 2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main() -> None:
    """The process: does the jobs of the ledger until its standard input ends, as it also does when the service is killed."""
    share_one_heap()
    stop, queue = threading.Event(), LocalQueue()
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches all of a terminal's processes; the service says what follows
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    settings, location, level = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own process wrote it
    os.nice(min(settings.job_nice, 19))
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s [indexing] %(message)s")
    threading.Thread(target=_heed, args=(queue, stop), daemon=True).start()
    from codequarry.store import open_ledger, open_store

    while not stop.is_set():
        try:
            store = open_store(location, create=True, settings=settings)
        except CodequarryError as error:  # a server that is down for a while
            _log.warning("no work can be done: %s", error)
            stop.wait(_RETRY_S)
            continue
        ledger = open_ledger(location, settings)
        try:
            Runner(store, ledger, queue, settings, on_hang=lambda: os._exit(70)).loop(stop)
        finally:
            ledger.close()
            store.close()


def _heed(queue: LocalQueue, stop: threading.Event) -> None:
    """Wakes the loop when the service says so, and ends it with the service."""
    while os.read(0, 4096):
        queue.wake()
    stop.set()
    queue.wake()
