"""Hints to workers over Redis: that there is something in the ledger. Losing one costs seconds, the ledger has it all.

The service puts hints into a list, a worker's supervisor takes them out and gives them to its pools. A hint that is still on its
way is not put in again, so a thousand pushes to a repository are one.
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
from typing import TYPE_CHECKING, Any

from codequarry.errors import SettingsError
from codequarry.types import Source

if TYPE_CHECKING:
    from codequarry.settings import Settings

_FOLDED_S = 5  # so long a hint stands for those that follow it, should nobody take it out
_MOST = 10_000  # hints that are kept while no worker runs; the reconciler finds the rest
_SILENT_S = 5.0  # how long nothing is sent after Redis did not answer: requests must not wait for it again and again
_ANSWER_S = 1.0
_WAIT_S = 3

log = logging.getLogger("codequarry.hints")


class RedisQueue:
    """`codequarry.ports.Queue` over Redis. Safe for threads; it connects when it is first used, and anew after a failure.

    Raises:
        SettingsError: the address cannot be read.
    """

    def __init__(self, url: str, prefix: str = "codequarry") -> None:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        def client(answer_s: float) -> Any:
            # Once more, at once, for a connection that was kept too long; the client's own habit is to wait for seconds.
            once = Retry(NoBackoff(), 1)
            return redis.Redis.from_url(
                url, retry=once, socket_connect_timeout=_ANSWER_S, socket_timeout=answer_s, decode_responses=True
            )

        try:
            self._redis, self._waiting = client(_ANSWER_S), client(_WAIT_S + 2)
        except ValueError as error:
            raise SettingsError(
                f"the address of Redis cannot be read: {error}",
                name="CODEQUARRY_REDIS_URL",
                hint="redis://[[user]:password@]host:port/0, rediss:// with TLS",
            ) from error
        self._failure: type[Exception] = redis.RedisError
        self._list, self._folds = f"{prefix}:hints", f"{prefix}:hinted:"
        self._silent_until = 0.0

    def poke(self, kind: str, source: Source) -> None:
        """Hints at a job. Never raises, and does not wait for a Redis that just did not answer."""
        if time.monotonic() < self._silent_until:
            return
        hint = json.dumps([kind, *source])
        try:
            if self._redis.set(self._folds + hint, 1, nx=True, ex=_FOLDED_S):
                pipe = self._redis.pipeline(transaction=False)
                pipe.lpush(self._list, hint).ltrim(self._list, 0, _MOST - 1).execute()
        except self._failure as error:
            self._silent_until = time.monotonic() + _SILENT_S
            log.warning("Redis does not answer, workers find what is due by themselves: %s", error)

    def take(self, limit_s: float) -> tuple[str, Source] | None:
        """The next hint, None when none came within so many seconds (at least one).

        Raises:
            ConnectionError: Redis does not answer.
        """
        try:
            found = self._waiting.brpop([self._list], timeout=max(1, min(_WAIT_S, int(limit_s))))
            if found is None:
                return None
            with contextlib.suppress(ValueError, TypeError):
                kind, repo, branch = json.loads(found[1])
                # From here on the job is looked at anew, so what comes now must be heard.
                self._redis.delete(self._folds + found[1])
                return kind, Source(repo, branch)
        except self._failure as error:
            raise ConnectionError(str(error)) from error
        return None

    def untaken(self) -> int:
        """How many hints no worker has taken.

        Raises:
            ConnectionError: Redis does not answer.
        """
        return self.length(self._list)

    def length(self, key: str) -> int:
        """How long a list is, such as a queue of Celery's.

        Raises:
            ConnectionError: Redis does not answer.
        """
        try:
            return int(self._redis.llen(key))
        except self._failure as error:
            raise ConnectionError(str(error)) from error

    def check(self) -> None:
        """Whether Redis answers.

        Raises:
            ConnectionError: it does not.
        """
        try:
            self._redis.ping()
        except self._failure as error:
            raise ConnectionError(str(error)) from error

    def close(self) -> None:
        """Closes connections."""
        self._redis.close()
        self._waiting.close()


def queue_of(settings: Settings) -> RedisQueue | None:
    """The queue to the workers of the settings, None where there are none."""
    return RedisQueue(settings.redis_url, settings.elasticsearch_index_prefix) if settings.redis_url else None
