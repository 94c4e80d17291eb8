"""What makes lost webhooks harmless: every repository is looked at now and then, and claims of webhooks are held against the forge.

Forges drop events (more than three tags or branches in a push, payloads that are too large, a receiver that was down), and most
send none a second time. So about every ten minutes a look is asked for. The job that does it compares the forge's branches with
what is indexed, which is one `git ls-remote` where nothing has changed (`ingest.jobs`).

A webhook can also say that a repository was deleted, made private or renamed. That it said so is kept in `Repository.told`, and
nothing is taken out of the index before the forge itself says the same.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING

from codequarry.errors import CodequarryError, RepositoryNotFound
from codequarry.types import Job, Repository, Source

if TYPE_CHECKING:
    from codequarry.ports import Ledger, Queue

JITTER = 0.2
"""By this part of the interval a look comes earlier or later, so that those of many repositories do not come at once."""
_RARELY = 6  # as much rarer is one looked at that its forge does not give us
_OPEN = ("waiting", "running")

log = logging.getLogger("codequarry.poller")


class Poller:
    """Asks for looks. Several may run: what is asked for twice is done once."""

    def __init__(
        self, ledger: Ledger, queue: Queue | None, interval_s: float, *, clock: Callable[[], float] = time.time
    ) -> None:
        """`interval_s`: 0 asks for none and only settles what webhooks said."""
        self.ledger, self.queue, self.interval_s, self._clock = ledger, queue, float(interval_s), clock

    def round(self) -> list[str]:
        """Goes through all repositories once; the names of those for which a look was asked.

        Raises:
            StoreError: the ledger cannot be used.
        """
        now = self._clock()
        jobs = {job.source: job for job in self.ledger.jobs()}
        asked = []
        for repository in self.ledger.repositories():
            try:
                if repository.told:
                    settle(self.ledger, self.queue, repository)
                if self.is_due(repository, jobs.get(Source(repository.repo, "")), now):
                    ask(self.ledger, self.queue, repository.repo, "poll")
                    asked.append(repository.repo)
            except RepositoryNotFound:
                continue  # removed meanwhile
        return asked

    def is_due(self, repository: Repository, job: Job | None, now: float) -> bool:
        """Whether it was not looked at for as long as the interval, give or take the jitter."""
        if not self.interval_s or repository.state == "paused" or (job is not None and job.state in _OPEN):
            return False
        if job is not None and job.state == "cancelled":
            return False  # whoever cancelled it says when to go on
        last = max(repository.polled_at, job.finished_at if job else 0.0)
        wait_s = self.interval_s * (_RARELY if repository.state in ("gone", "denied") else 1)
        return now >= last + wait_s * jitter(repository.repo, last)

    def loop(self, stop: threading.Event) -> None:
        """Goes round until `stop` is set."""
        pause_s = min(60.0, max(1.0, (self.interval_s or 600.0) / 10))
        while not stop.wait(pause_s):
            try:
                self.round()
            except CodequarryError as error:
                log.warning("the ledger cannot be used: %s", error)


def jitter(repo: str, last: float) -> float:
    """A factor from 0.8 to 1.2, another for each repository and each time, and the same for everyone who asks."""
    digest = blake2b(f"{repo}\n{last:.3f}".encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return 1.0 - JITTER + 2 * JITTER * int.from_bytes(digest, "big") / (2**64 - 1)


def ask(ledger: Ledger, queue: Queue | None, repo: str, reason: str) -> Job:
    """Asks for a look at a repository; durable when it returns.

    Raises:
        RepositoryNotFound: it is not registered.
    """
    job = ledger.want(Source(repo, ""), reason=reason)
    if queue is not None:
        queue.poke(job.queue, job.source)
    return job


def settle(ledger: Ledger, queue: Queue | None, repository: Repository) -> None:
    """Does what follows from what a webhook said of a repository, as far as the forge has confirmed it.

    It can be called at any time, and again after it was interrupted anywhere.

    Raises:
        RepositoryNotFound: it was removed meanwhile.
    """
    kind, _, rest = repository.told.partition(" ")
    if kind == "renamed":
        _follow(ledger, queue, repository, rest)
        return
    job = ledger.job(Source(repository.repo, ""))
    if job is None:
        ask(ledger, queue, repository.repo, kind)
    elif job.state in _OPEN:
        return
    elif job.started_at < float(rest):  # that look was before the webhook
        if job.state != "cancelled":
            ask(ledger, queue, repository.repo, kind)
    elif repository.state in ("gone", "denied"):
        log.info("%s is %s, as a webhook said: it is removed", repository.repo, kind)
        ledger.remove(repository.repo)
        if queue is not None:
            queue.poke("sync", Source(repository.repo, ""))
    elif job.state == "done":  # the forge still gives it to us
        ledger.update(repository.repo, told="")


def _follow(ledger: Ledger, queue: Queue | None, old: Repository, told: str) -> None:
    """Registers a repository under its new name, and removes the old one once the new one is indexed."""
    name, _, url = told.partition(" ")
    new = ledger.repository(name)
    if new is None:
        new = ledger.register(
            replace(old, repo=name, url=url, told="", note="", state="active", added_at=0.0, polled_at=0.0)
        )
    if ledger.job(Source(name, "")) is None:
        ask(ledger, queue, name, "renamed")
    for hook in ledger.hooks(old.repo):
        ledger.save_hook(replace(hook, repo=name))
    if old.provider_id:
        ledger.update(old.repo, provider_id="", note=f"its forge calls it {name} now")
    jobs = [job for job in ledger.jobs(name) if job.source.branch]
    if (
        new.state == "active"
        and jobs
        and all(job.state not in _OPEN for job in jobs)
        and any(job.indexed for job in jobs)
    ):
        log.info("%s is indexed as %s: the old name is removed", old.repo, name)
        ledger.remove(old.repo)
        if queue is not None:
            queue.poke("sync", Source(old.repo, ""))
