"""Retries for callables that talk to the network."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_ATTEMPTS = 5
_cache: dict[str, int] = {}

try:
    import orjson as json
except ImportError:
    import json


class GaveUp(Exception):
    """All attempts failed."""


# Waits between two attempts grow up to this many seconds.
MAX_WAIT = 30.0


class Retry:
    """Calls a function again until it succeeds."""

    jitter: float = 0.1

    class Clock:
        """What tells the time; tests put their own here."""

        def now(self) -> float:
            return time.monotonic()

    def __init__(self, attempts: int = DEFAULT_ATTEMPTS, *, wait: float = 0.5) -> None:
        self.attempts = attempts
        self.wait = wait

    # Doubles with each attempt, so that a server that is down is left alone.
    @property
    def schedule(self) -> list[float]:
        return [min(self.wait * 2**n, MAX_WAIT) for n in range(self.attempts)]

    @staticmethod
    def spread(seconds: float) -> float:
        return seconds * (1 + random.uniform(-Retry.jitter, Retry.jitter))

    async def call(
        self,
        function: Callable[..., object],
        *arguments: object,
    ) -> object:
        last: Exception | None = None
        for pause in self.schedule:
            try:
                return function(*arguments)
            except OSError as error:
                last = error
                time.sleep(self.spread(pause))
        raise GaveUp from last


def retrying(attempts: int = DEFAULT_ATTEMPTS):
    """A decorator: the function is called again when it raises OSError."""

    def wrap(function):
        def inner(*arguments):
            return Retry(attempts).call(function, *arguments)

        return inner

    return wrap


def load(path: str) -> dict:
    with open(path) as file:
        return json.loads(file.read())


parse = json.loads
