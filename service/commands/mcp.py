"""`codequarry mcp`: the index as tools for a language model, over standard input and output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codequarry.errors import BadInput

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from codequarry.service.terminal import Terminal

DESCRIPTION = """Serves the tools search_code, grep, read_file, list_repos, find_definitions and build_context as an MCP server on
standard input and output, for the client that starts it. A service has the same tools at /mcp (codequarry serve)."""

EXAMPLES = """  codequarry mcp
  claude mcp add quarry -- codequarry mcp
  codequarry mcp --store http://localhost:9200"""


def arguments(parser: ArgumentParser) -> None:
    """Adds nothing: the index is that of --store and the settings."""


def run(args: Namespace, terminal: Terminal) -> int:
    """Serves until the input ends."""
    from codequarry.settings import load

    settings = load()
    location = args.store or settings.store
    if location.startswith("codequarry+"):
        raise BadInput(
            f"{location} is a service, which has these tools itself",
            hint=f"let the client connect to {location.removeprefix('codequarry+').rstrip('/')}/mcp",
        )
    import logging

    import anyio

    from codequarry.service.backend import Backend
    from codequarry.service.mcp import over_stdio
    from codequarry.service.metrics import Metrics
    from codequarry.service.pool import Pool, threads_of
    from codequarry.service.routes import Parts

    logging.basicConfig(level=logging.WARNING)  # to standard error: the output belongs to the protocol
    backend = Backend(settings, location=location, model=args.model, jobs=False)

    async def serve() -> None:
        pool = Pool(threads_of(settings, location), settings.request_timeout_s)
        try:
            await over_stdio(Parts(backend, pool, Metrics()))
        finally:
            pool.close()

    anyio.run(serve)
    backend.close()
    return 0
