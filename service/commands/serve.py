"""`codequarry serve`: the service over HTTP, with its own workers where no Redis carries work to others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codequarry.errors import BadInput, SettingsError, StoreError

if TYPE_CHECKING:
    import socket
    import ssl
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable

    from codequarry.service.terminal import Terminal
    from codequarry.settings import Settings

    Tls = Callable[[object, object], ssl.SSLContext]

DESCRIPTION = """Answers a page at /, REST under /v1, MCP at /mcp and webhooks of the forges, and keeps the registered repositories
indexed: in a process beside it, or where redis_url is set by workers (codequarry worker). Without keys it listens on this machine
only."""

EXAMPLES = """  codequarry serve
  codequarry keys new ci --scope search --scope read
  CODEQUARRY_API_KEYS=ci:3f…:search+read codequarry serve --host 0.0.0.0
  curl --json '{"query": "where are retries configured"}' http://127.0.0.1:8765/v1/search"""


def arguments(parser: ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("--host", metavar="ADDRESS", help="where to listen (127.0.0.1)")
    parser.add_argument("--port", type=int, metavar="PORT", help="the port (8765); 0 takes a free one")
    parser.add_argument(
        "--allow-anonymous",
        action="store_true",
        help="listen on other addresses than this machine's without keys: everyone may do everything",
    )
    parser.add_argument(
        "--processes",
        type=int,
        default=1,
        metavar="N",
        help="search in so many processes (1): one a processor for many searches at once",
    )
    parser.add_argument("--no-work", action="store_true", help="only answer: poll no forges, index nothing here")
    parser.add_argument("--quiet", action="store_true", help="no line for each request")


def run(args: Namespace, terminal: Terminal) -> int:
    """Serves until it is told to stop."""
    from dataclasses import replace

    import uvicorn  # noqa: F401  before anything is said of an address

    from codequarry.ingest.allocator import share_one_heap
    from codequarry.service.keyring import Keyring
    from codequarry.service.security import check_bind
    from codequarry.settings import load

    share_one_heap()
    settings = load()
    port = settings.port if args.port is None else args.port
    if not 0 <= port < 65536:
        raise BadInput(f"{port} is no port", hint="one from 0 to 65535")
    if not 0 < args.processes <= 256:
        raise BadInput(f"{args.processes} is no number of processes", hint="from 1 to 256")
    settings = replace(
        settings, host=args.host or settings.host, port=port, **({"model": args.model} if args.model else {})
    )
    check_bind(settings.host, Keyring(settings), allow_anonymous=args.allow_anonymous)
    tls = _tls(settings)
    _log_to_stderr(quiet=args.quiet)
    listening = listen(settings.host, settings.port)
    host, port = listening.getsockname()[:2]
    name = f"[{host}]" if ":" in host else host
    terminal.say(
        f"{'https' if tls else 'http'}://{name}:{port}  (a page to search on; REST /v1, MCP /mcp, help /v1/docs)"
    )
    _serve(settings, args, listening, tls)
    return 0


def _serve(settings: Settings, args: Namespace, listening: socket.socket, tls: Tls | None) -> None:
    import gc

    import uvicorn

    from codequarry.hints import queue_of
    from codequarry.ingest.jobs import LocalQueue
    from codequarry.service.app import create_app
    from codequarry.service.work import working

    queue = queue_of(settings) or LocalQueue()
    app = create_app(
        settings,
        location=args.store,
        queue=queue,
        work=None if args.no_work else working,
        processes=args.processes,
    )
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=15,
        timeout_keep_alive=30,
        lifespan="on",
        ssl_context_factory=tls,
    )
    gc.collect()
    gc.freeze()  # what is loaded now stays: looking for garbage in it would stop all requests for tens of milliseconds
    uvicorn.Server(config).run(sockets=[listening])


def _tls(settings: Settings) -> Tls | None:
    """What gives uvicorn TLS with the certificate of the settings, None where they name none.

    uvicorn's own options would choose ciphers of TLS 1.0 for those who speak 1.2; these are Python's.
    """
    certificate, key = settings.tls_certificate_file, settings.tls_key_file
    if not certificate and not key:
        return None
    if not certificate or not key:
        missing = "CODEQUARRY_TLS_CERTIFICATE_FILE" if key else "CODEQUARRY_TLS_KEY_FILE"
        raise SettingsError(
            "TLS needs a certificate and its key, and one of them is not given", name=missing, hint=f"set {missing} too"
        )
    import ssl

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key, password="")  # else OpenSSL asks at the terminal
    except OSError as error:
        raise SettingsError(
            f"{certificate} and {key} make no TLS: {error.strerror or error}",
            name="CODEQUARRY_TLS_CERTIFICATE_FILE",
            hint="a certificate and its key in PEM, the key without a password, readable by this user",
        ) from error
    return lambda config, default: context


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; whoever connects waits until the application is up."""
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio turns Nagle's algorithm off: else answers wait 40 ms for an acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host.strip("[]"), port))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        raise StoreError(
            f"cannot listen on {host}:{port}: {error.strerror or error}", hint="give another --port or --host"
        ) from error
    return listening


def _log_to_stderr(*, quiet: bool) -> None:
    import logging

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("mcp").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    if quiet:
        logging.getLogger("codequarry.service").setLevel(logging.WARNING)
