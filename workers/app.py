"""Celery as measured under kills: what is set here, why, and the two pools. `python -m codequarry.workers.app QUEUE N PARENT`.

    sync    git, files, chunks and all vectors of light models; prefork, so that a run can be killed at its limit
    embed   what needs a sentence-transformers model; one process, one model, no fork: torch hangs in forked children

Celery on Redis loses and doubles messages whatever it is told (2 of 3,000 lost with the best settings). That costs nothing here:
a message is a hint, a job is begun by compare-and-set in the ledger, and the supervisor hints again at what is due.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from celery import Celery
from celery.signals import setup_logging, worker_process_init, worker_shutting_down
from kombu.entity import Queue

if TYPE_CHECKING:
    from codequarry.settings import Settings

QUEUES = ("sync", "embed")
HARD_S = 90
"""So much longer than a job's own limit is the pool's, which kills the process."""


def key_prefix(settings: Settings) -> str:
    """What the names of all of Celery's keys in Redis begin with."""
    return f"{settings.elasticsearch_index_prefix}:celery:"


def make_app(settings: Settings) -> Celery:
    """The Celery application of these settings; it connects when it is first used."""
    limit = settings.job_limit_s + HARD_S
    app = Celery("codequarry", broker=settings.redis_url, set_as_current=False, include=[])
    app.conf.update(
        task_queues=[Queue(name) for name in QUEUES],
        task_default_queue="sync",
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        # A task is acknowledged when it is done, and given back when its process dies: redelivery within seconds instead of never.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        task_time_limit=limit,
        worker_max_tasks_per_child=200,
        worker_max_memory_per_child=1_500_000,  # KiB
        # A run whose broker went away goes on: the ledger knows that it runs, whoever gets its message again.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": limit + 60,  # longer than any run: nothing prolongs it
            "unacked_restore_interval": 2,
            "unacked_restore_throttle": 1,  # the default sweeps every tenth time only: 91 s instead of 9.5
            "global_keyprefix": key_prefix(settings),
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
        },
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        task_publish_retry=False,  # the reconciler does that
    )
    return app


def run_pool(queue: str, concurrency: int, supervisor: int) -> None:
    """Runs one pool in this process until it is told to end (SIGTERM: runs stop at their next step), or its supervisor is gone."""
    from codequarry.ingest.allocator import share_one_heap
    from codequarry.settings import load
    from codequarry.workers import tasks

    die_with(supervisor)
    pool_id = os.getpid()
    settings = load()
    share_one_heap()
    os.nice(min(settings.job_nice, 19))  # its children, git among them, are as nice
    app = make_app(settings)
    tasks.register(app, settings, queue, concurrency)
    if queue != "embed":  # a pool that forks
        worker_process_init.connect(lambda **_: die_with(pool_id), weak=False)
    worker_shutting_down.connect(tasks.end, weak=False)
    setup_logging.connect(_log, weak=False)
    pool = ["--pool=solo"] if queue == "embed" else ["--pool=prefork", f"--concurrency={concurrency}"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=INFO"]
    app.worker_main(["--quiet", "worker", "-Q", queue, "-n", f"{queue}-{os.getpid()}@%h", *pool, *quiet])


def _log(**_: Any) -> None:
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s [%(process)d] %(message)s", stream=sys.stderr
    )
    for says_little in ("celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(says_little).setLevel(logging.WARNING)


def die_with(parent: int) -> None:
    """A pool whose supervisor is killed, and a child whose pool is, must not work on unseen (Linux: whenever that happens)."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it was gone before that was said
        os._exit(70)


if __name__ == "__main__":
    run_pool(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
