"""Several processes that answer at one address: a search is computing, and one interpreter computes on one processor.

The address is bound once, and each process takes connections from it. They share index and ledger and nothing else: each counts the
requests of a key (`rate_limit`) and remembers deliveries by itself. What they count for Prometheus is put together from a folder
that all of them write to (`Metrics.share`). The first one does the work that is done beside requests.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.context import ForkProcess

_YOUNG_S = 10.0  # a process that ends so soon is replaced a second later, others at once
_END_S = 40.0


def run(count: int, serve: Callable[[int], None]) -> None:
    """Runs `serve(0)` to `serve(count - 1)`, each in a process of its own, until SIGTERM or SIGINT; those that die are replaced.

    Call it before any thread is started: the processes are forks.
    """
    ending = threading.Event()
    for signalled in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signalled, lambda *_: ending.set())
    fork, parent = multiprocessing.get_context("fork"), os.getpid()

    def start(number: int) -> tuple[ForkProcess, float]:
        process = fork.Process(target=_serve, args=(number, serve, parent), name=f"serve-{number}")
        process.start()
        return process, time.monotonic()

    running = [start(number) for number in range(count)]
    while not ending.wait(0.2):
        for number, (process, since) in enumerate(running):
            if process.is_alive():
                continue
            if time.monotonic() - since < _YOUNG_S and ending.wait(1.0):
                break
            running[number] = start(number)
    for process, _ in running:
        process.terminate()
    end = time.monotonic() + _END_S
    for process, _ in running:
        process.join(max(0.1, end - time.monotonic()))
        process.kill()


def _serve(number: int, serve: Callable[[int], None], parent: int) -> None:
    for signalled in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signalled, signal.SIG_DFL)
    if sys.platform == "linux":  # a process whose parent was killed ends too, in good order
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it was gone before that was said
        return
    serve(number)
