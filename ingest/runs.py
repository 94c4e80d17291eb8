"""One run under a lease: it is kept while the run lives, and given up at the next step once the run is to end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from codequarry.errors import CodequarryError
from codequarry.ports import Lease
from codequarry.types import Progress

GRACE_S = 30.0
"""So long after its limit a run may take to come to its next step."""


class Stopped(Exception):
    """The run is to end: `reason` is lost (the lease, or the job was cancelled), ending (of the process) or limit."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Flag(Protocol):
    """Something that is set once, such as a `threading.Event`."""

    def is_set(self) -> bool:
        """Whether it is."""
        ...


class Run:
    """Renews a lease from a thread until the block is left; called with progress, it raises `Stopped` when the run is to end.

    Some steps are silent for long (git, a batch of a slow model, a commit), so the lease cannot be renewed by progress alone; and
    who holds on to nothing but the lease would never be noticed, so a run has a limit of time, after which it is given up.
    """

    def __init__(
        self,
        lease: Lease,
        *,
        lease_s: float,
        limit_s: float,
        beat_s: float = 2.0,
        ending: Flag | None = None,
        on_hang: Callable[[], None] = lambda: None,
    ) -> None:
        """`ending`: set when the process ends; `on_hang`: what to do with a run that does not come to its next step."""
        self._lease, self._lease_s, self._limit_s, self._beat_s = lease, lease_s, limit_s, beat_s
        self._ending: Flag = ending or threading.Event()
        self._on_hang = on_hang
        self._begun = self._renewed = time.monotonic()
        self._latest: Progress | None = None
        self._said: Progress | None = None
        self._reason = ""
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._thread.join()

    def __call__(self, progress: Progress) -> None:
        """Takes note of the progress. At the first step of a phase it also makes sure that the lease is held *now*.

        The store's publication has begun then, with its epoch: whoever takes the lease from here on gets a later one and wins, and
        whoever took it before makes this run end, so an older commit is never shown after a newer one.
        """
        entered = self._latest is None or self._latest.phase != progress.phase
        self._latest = progress
        if entered:
            self.check()
        if self._ending.is_set():
            raise Stopped("ending")
        if self._reason:
            raise Stopped(self._reason)

    def check(self) -> None:
        """Renews the lease.

        Raises:
            Stopped: it is lost, or the job is to stop.
        """
        if not self._renew():
            raise Stopped("lost")

    def _renew(self) -> bool:
        latest = self._latest
        held = self._lease.renew(latest if latest is not self._said else None)
        self._said, self._renewed = latest, time.monotonic()
        return held

    def _beat(self) -> None:
        while not self._left.wait(self._beat_s):
            now = time.monotonic()
            if now - self._begun > self._limit_s + GRACE_S:
                self._give_up()
                return
            if self._reason == "lost":
                continue
            if now - self._begun > self._limit_s:
                self._reason = "limit"
            try:
                if not self._renew():
                    self._reason = "lost"
            except CodequarryError:  # the ledger does not answer
                if now - self._renewed > self._lease_s:
                    self._reason = "lost"

    def _give_up(self) -> None:
        try:
            self._lease.fail(
                f"it hung: stopped {GRACE_S:.0f} s after its limit of {self._limit_s:.0f} s", retry_in_s=GRACE_S
            )
        except CodequarryError:
            pass  # then the lease lapses
        finally:
            self._on_hang()
