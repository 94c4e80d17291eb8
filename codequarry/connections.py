"""Kept-alive HTTP connections to one server, by the standard library alone.

Both sides that ask servers the whole time use them: the store on Elasticsearch, and whoever asks a codequarry service.
"""

from __future__ import annotations

import http.client
import time
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import ssl

_CONNECT_S = 5.0


class Reply(NamedTuple):
    """A server's answer, read to its end."""

    status: int
    kind: str  # the content's type, "" where the server does not say
    content: bytes
    waited_s: float  # from the end of the request to the end of the answer


class Connections:
    """Connections to a host, kept between requests. Safe for threads: each request takes an idle one, or opens one."""

    def __init__(self, host: str, port: int | None, *, secure: bool, answer_s: float, ca_file: str = "") -> None:
        """`secure`: over TLS. `ca_file`: the authorities that are trusted then, in PEM; without it those of the system.

        Raises:
            OSError: the file cannot be read, or holds no certificates.
        """
        self._host, self._port, self._answer_s = host, port, answer_s
        self._context = _trusting(ca_file) if secure else None
        self._idle: deque[http.client.HTTPConnection] = deque()

    def exchange(self, method: str, target: str, data: bytes | None, headers: Mapping[str, str]) -> Reply:
        """One request, which must be one that can be sent twice: a kept connection may turn out to be closed.

        Raises:
            OSError, HTTPException: the server cannot be reached, or does not speak HTTP.
        """
        kept = self._idle.pop() if self._idle else None
        while True:
            connection = kept or self._connect()
            try:
                connection.request(method, target, data, headers)
                sent = time.perf_counter()
                reply = connection.getresponse()
                content = reply.read()
                waited_s = time.perf_counter() - sent
            except (ConnectionError, http.client.CannotSendRequest):
                connection.close()
                if kept is None:
                    raise
                kept = None  # the server may have closed it while it was idle; that is no failure yet
                continue
            except BaseException:
                connection.close()  # an answer that nobody read would be taken for that of the next request
                raise
            if reply.will_close:
                connection.close()
            else:
                self._idle.append(connection)
            return Reply(reply.status, reply.headers.get("Content-Type", ""), content, waited_s)

    def _connect(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection
        if self._context is not None:
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=_CONNECT_S, context=self._context)
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=_CONNECT_S)
        connection.connect()
        if connection.sock is not None:
            connection.sock.settimeout(self._answer_s)
        return connection

    def close(self) -> None:
        """Closes the connections that nobody uses; others are opened when they are needed."""
        while self._idle:
            self._idle.pop().close()


def _trusting(ca_file: str) -> ssl.SSLContext:
    import ssl

    return ssl.create_default_context(cafile=ca_file or None)
