"""`python -m codequarry.workers`: the supervisor of a machine's pools.

It starts a pool for each queue and starts it again when it dies, turns the service's hints into tasks, and every few seconds
publishes whatever the ledger says is due: lost messages, a wiped Redis, killed workers and lapsed leases all end there.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from codequarry.errors import CodequarryError
from codequarry.hints import RedisQueue
from codequarry.ingest.jobs import Runner
from codequarry.settings import Settings, load
from codequarry.workers.app import QUEUES, key_prefix, make_app
from codequarry.workers.tasks import CeleryQueue

RECONCILE_S = 5.0
AUDIT_S = 600.0
END_S = 25.0
"""How long runs have to stop at their next step; what they did until then is kept anyway."""

log = logging.getLogger("codequarry.workers")


@dataclass
class Pool:
    """A pool in a process of its own."""

    queue: str
    concurrency: int
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0

    def keep(self) -> None:
        """Starts it if it does not run; the more often it died young, the later."""
        if self.process is not None and self.process.poll() is None:
            return
        now = time.monotonic()
        if self.process is not None:
            if now - self.started > 60:
                self.failures = 0
            if now - self.started < min(30.0, 2.0**self.failures) - 1:
                return
            self.failures += 1
            log.warning("the pool of %s ended with %s and is started again", self.queue, self.process.returncode)
        command = [sys.executable, "-m", "codequarry.workers.app", self.queue, str(self.concurrency), str(os.getpid())]
        self.process, self.started = subprocess.Popen(command), now

    def end(self) -> None:
        """Asks it to end."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def wait(self, until: float) -> None:
        """Returns when it is gone; it is killed when it takes longer."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def supervise(settings: Settings, pools: Sequence[Pool], stop: threading.Event) -> None:
    """Runs until `stop` is set, then ends the pools."""
    from codequarry.store import open_ledger, open_store

    hints = RedisQueue(settings.redis_url, settings.elasticsearch_index_prefix)
    queue = CeleryQueue(make_app(settings))
    runner: Runner | None = None
    reconciled = audited = float("-inf")
    try:
        while not stop.is_set():
            for pool in pools:
                pool.keep()
            now = time.monotonic()
            if now - reconciled > RECONCILE_S * random.uniform(0.8, 1.2):  # noqa: S311 - jitter
                reconciled = now
                try:
                    if runner is None:
                        store = open_store(settings.store, create=True, settings=settings)
                        runner = Runner(store, open_ledger(settings.store, settings), queue, settings)
                    if now - audited > AUDIT_S:
                        audited = now
                        runner.audit()
                    # What waits in a queue need not be said again; what is due and is not there was lost.
                    empty = [name for name in QUEUES if not hints.length(key_prefix(settings) + name)]
                    if empty:
                        runner.reconcile(empty)
                except CodequarryError as error:
                    log.warning("the ledger cannot be read now: %s", error.message)
                except ConnectionError as error:
                    log.warning("Redis does not answer: %s", error)
            try:
                hint = hints.take(1.0)
            except ConnectionError as error:
                log.warning("Redis does not answer: %s", error)
                stop.wait(1.0)
                continue
            if hint is not None:
                queue.poke(*hint)
    finally:
        for pool in pools:
            pool.end()
        until = time.monotonic() + END_S
        for pool in pools:
            pool.wait(until)
        hints.close()


def _has_heavy_model(settings: Settings) -> bool:
    """Whether there may be jobs for the queue `embed`: the index or the settings name a model that needs torch."""
    from codequarry.models import is_light
    from codequarry.store import open_store

    try:
        known = open_store(settings.store, create=True, settings=settings).model()
    except CodequarryError:
        return True
    return not is_light(settings.model) or (known is not None and not is_light(known[0]))


def main(argv: Sequence[str] | None = None) -> int:
    """Reads the command line and supervises until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="codequarry worker")
    parser.add_argument("--queue", action="append", choices=QUEUES, default=[])
    parser.add_argument("--concurrency", type=int, default=0)
    args = parser.parse_args(argv)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s [%(process)d] %(message)s", stream=sys.stderr
    )
    settings = load()
    concurrency = args.concurrency or min(os.cpu_count() or 1, 8)
    queues = args.queue or (QUEUES if _has_heavy_model(settings) else QUEUES[:1])
    pools = [Pool(queue, 1 if queue == "embed" else concurrency) for queue in queues]
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    supervise(settings, pools, stop)
    return 0


if __name__ == "__main__":
    sys.exit(main())
