"""Threads for the work of requests, so that the event loop stays free; how many at once, how many may wait, and for how long.

What takes too long is answered for, and its thread goes on to the end, since nothing can stop it; it counts as busy until then.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from codequarry.errors import TimedOut, TooBusy

if TYPE_CHECKING:
    from codequarry.settings import Settings

Given = ParamSpec("Given")
Result = TypeVar("Result")

_WAITING_PER_THREAD = 64


def threads_of(settings: Settings, location: str) -> int:
    """How many requests over an index at that place are to be worked on at once.

    Over the embedded store a search computes, and one interpreter computes in one thread at a time: more get in its way. Over a
    server it waits for half of its time.
    """
    return settings.search_threads or (2 if "://" in location else 1) * (os.cpu_count() or 1)


class Pool:
    """The threads. Use it from one event loop."""

    def __init__(self, threads: int, timeout_s: float) -> None:
        self.threads = threads
        self.timeout_s = timeout_s
        self.busy = 0  # requests that run or wait
        self._most = self.threads * (1 + _WAITING_PER_THREAD)
        self._executor = ThreadPoolExecutor(self.threads, thread_name_prefix="request")

    async def run(self, ask: Callable[Given, Result], *args: Given.args, **options: Given.kwargs) -> Result:
        """What the function returns or raises.

        Raises:
            TooBusy: too many wait already.
            TimedOut: it took too long.
        """
        if self.busy >= self._most:
            raise TooBusy(f"{self.busy} requests are being worked on or wait", hint="ask again in a second")
        context = contextvars.copy_context()
        running = self._executor.submit(context.run, partial(ask, *args, **options))
        self.busy += 1
        loop = asyncio.get_running_loop()
        running.add_done_callback(lambda _: _told(loop, self._done))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(running), self.timeout_s)
        except TimeoutError:
            if _has_failed(running):
                raise
            raise TimedOut(
                f"there was no answer within {self.timeout_s:g} s",
                hint="narrow the query, or ask again when the service has less to do",
            ) from None

    def _done(self) -> None:
        self.busy -= 1

    def close(self) -> None:
        """Takes no more work, and does not wait for what runs."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def _told(loop: asyncio.AbstractEventLoop, tell: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(tell)


def _has_failed(running: Future[Result]) -> bool:
    """Whether the work ended by itself: the error is its own then."""
    return running.done() and not running.cancelled() and running.exception() is not None
