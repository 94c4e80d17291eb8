"""Doors before servers that have none of their own: TLS, and for HTTP a password. Also what tests of them have in common."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import http.server
import ssl
import threading
from base64 import b64encode
from pathlib import Path
from urllib.parse import urlsplit

import yaml

ROOT = Path(__file__).parent.parent.parent
TEAM = ROOT / "compose" / "team.yaml"


def team():
    """The installation of a team, with what is merged into its parts."""
    return yaml.safe_load(TEAM.read_text(encoding="utf-8"))


class Door(http.server.ThreadingHTTPServer):
    """HTTPS that lets those through who have the password, to a server behind it, and keeps what it was asked.

    Without a server behind it every request that has the password is answered with an empty object.
    """

    daemon_threads = True

    def __init__(self, folder: Path, user: str, password: str, behind: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
        self.context, self.behind = context, urlsplit(behind)
        self.right = "Basic " + b64encode(f"{user}:{password}".encode()).decode()
        self.asked: list[tuple[str, str, bytes]] = []
        self.refused = 0
        self._thread = threading.Thread(target=self.serve_forever)

    @property
    def address(self) -> str:
        """Host and port."""
        return f"localhost:{self.server_port}"

    def finish_request(self, request, client_address):
        try:
            # Here and not when it is accepted: a client that does not like the certificate must not hold up others.
            wrapped = self.context.wrap_socket(request, server_side=True)
        except OSError:
            return
        with wrapped:
            super().finish_request(wrapped, client_address)

    def handle_error(self, request, client_address):
        """Clients may go away in the middle of an answer."""

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Door

    def _any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers["Authorization"] != self.server.right:
            self.server.refused += 1
            missing = (
                b'{"error":{"type":"security_exception","reason":"missing authentication credentials"},"status":401}'
            )
            return self._answer(401, "application/json", missing)
        self.server.asked.append((self.command, self.path, body))
        if not self.server.behind.netloc:
            return self._answer(200, "application/json", b"{}")
        behind = http.client.HTTPConnection(self.server.behind.netloc, timeout=60)
        try:
            behind.request(self.command, self.path, body, {"Content-Type": self.headers["Content-Type"] or ""})
            reply = behind.getresponse()
            return self._answer(reply.status, reply.headers["Content-Type"] or "", reply.read())
        finally:
            behind.close()

    def _answer(self, status, kind, data):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _any

    def log_message(self, *_):
        pass


class Tunnel:
    """TLS that passes on whatever comes to a port of this machine, as it comes."""

    def __init__(self, folder: Path, behind: int) -> None:
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
        self._behind = behind
        self._open: set[asyncio.StreamWriter] = set()
        self._passing: set[asyncio.Task[None]] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    async def _run(self):
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0, ssl=self._context)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for writer in self._open:
            with contextlib.suppress(AttributeError):  # before Python 3.11.4, where TLS has come to its end by itself
                writer.transport.abort()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def _pass_on(self, reader, writer):
        self._passing.add(asyncio.current_task())
        try:
            reader_behind, writer_behind = await asyncio.open_connection("127.0.0.1", self._behind)
        except OSError:
            writer.close()
            return
        self._open |= {writer, writer_behind}
        await asyncio.gather(self._copy(reader, writer_behind), self._copy(reader_behind, writer))

    async def _copy(self, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    def __enter__(self):
        self._thread.start()
        self._ready.wait(30)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
