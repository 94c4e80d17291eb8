"""The one task there is: run the job of a source. Everything that matters is in the ledger; what a task returns nobody reads."""

from __future__ import annotations

import logging
import mmap
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from codequarry.errors import CodequarryError
from codequarry.ingest.jobs import Runner
from codequarry.types import Source

if TYPE_CHECKING:
    from celery import Celery

    from codequarry.settings import Settings

TASK = "codequarry.run"


class _Shared:
    """A flag that forked children see: the pool's process learns of its end, and they must.

    One byte and no lock, for whoever holds a lock may be killed.
    """

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)

    def set(self) -> None:
        self._byte[0] = 1

    def is_set(self) -> bool:
        return self._byte[0] != 0


_ending = _Shared()
_runners: dict[int, Runner] = {}  # by process: neither connections nor locks cross a fork

log = logging.getLogger("codequarry.workers")


class CeleryQueue:
    """`codequarry.ports.Queue` that publishes the task itself: for supervisors and workers."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def poke(self, kind: str, source: Source) -> None:
        """Publishes a task; a broker that does not answer is logged."""
        try:
            self._app.send_task(TASK, args=list(source), queue=kind)
        except Exception as error:  # kombu raises what its transport does
            log.warning("no hint could be sent, the next look at the ledger finds %s: %s", source, error)


def register(app: Celery, settings: Settings, queue: str, concurrency: int) -> None:
    """Adds the task to an application, for a pool that takes this queue."""
    if not settings.workers:
        settings = replace(settings, workers=max(1, (os.cpu_count() or 1) // concurrency))

    @app.task(name=TASK)  # type: ignore[untyped-decorator, unused-ignore]  # Celery has no types
    def run(repo: str, branch: str) -> None:
        source = Source(repo, branch)
        try:
            _runner(app, settings, queue).run_one(source)
        except CodequarryError as error:  # of the ledger: it has nothing to be told, and will be looked at again
            log.warning("%s was not run: %s", source, error.message)


def end(**_: Any) -> None:
    """Runs stop at their next step from now on, and none is begun."""
    _ending.set()


def _runner(app: Celery, settings: Settings, queue: str) -> Runner:
    from codequarry.store import open_ledger, open_store

    runner = _runners.get(os.getpid())
    if runner is None:
        runner = Runner(
            open_store(settings.store, create=True, settings=settings),
            open_ledger(settings.store, settings),
            CeleryQueue(app),
            settings,
            queues=[queue],
            on_hang=lambda: os._exit(70),
        )
        runner.ending = _ending
        _runners[os.getpid()] = runner
    return runner
