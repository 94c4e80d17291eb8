"""`codequarry worker`: the Celery workers of a team on this machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from codequarry.errors import BadInput, NotReady

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from codequarry.service.terminal import Terminal

DESCRIPTION = """Indexes what the service is told to keep indexed: takes jobs from the ledger in Elasticsearch, woken over Redis.
Start it on as many machines as you like; each keeps its pools running until it is told to end (SIGTERM), when
runs stop at their next step and others go on with them. Without Elasticsearch and Redis no worker is needed:
codequarry serve does the same work itself."""

EXAMPLES = """  codequarry worker
  codequarry worker --queue sync --concurrency 4
  codequarry worker --queue embed
  CODEQUARRY_ELASTICSEARCH_URL=http://elastic:9200 CODEQUARRY_REDIS_URL=redis://redis:6379/0 codequarry worker"""


def arguments(parser: ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "--queue",
        action="append",
        default=[],
        choices=("sync", "embed"),
        help="only this queue: sync fetches and cuts, embed makes the vectors of transformers (those that the model needs)",
    )
    parser.add_argument(
        "--concurrency", type=int, default=0, metavar="N", help="jobs at once in the queue sync (one a processor)"
    )


def run(args: Namespace, terminal: Terminal) -> int:
    """Becomes the supervisor of the workers; only returns where it cannot start."""
    import sys
    from importlib.util import find_spec

    from codequarry.settings import load

    settings = load()
    location = args.store or settings.store
    if not location.startswith(("http://", "https://")):
        raise BadInput(
            f"workers need an index in Elasticsearch, and this one is {location}",
            hint="codequarry serve does the work for an index in a folder; for a team set CODEQUARRY_ELASTICSEARCH_URL",
        )
    if not settings.redis_url:
        raise BadInput(
            "workers need Redis, which tells them that there is work",
            hint="set CODEQUARRY_REDIS_URL, such as redis://localhost:6379/0; codequarry dev up starts one",
        )
    if args.concurrency < 0:
        raise BadInput(f"{args.concurrency} is no number of jobs", hint="from 1, or 0 for one a processor")
    if find_spec("celery") is None:
        raise NotReady("Celery is not installed", hint="pip install 'codequarry[workers]'")
    if args.store:
        os.environ["CODEQUARRY_STORE"] = args.store
    if args.model:
        os.environ["CODEQUARRY_MODEL"] = args.model
    queues = [word for queue in args.queue for word in ("--queue", queue)]
    command = [sys.executable, "-m", "codequarry.workers", *queues, "--concurrency", str(args.concurrency)]
    terminal.say(f"workers for {settings.elasticsearch_index_prefix} (stop them with Ctrl-C)")
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, command)  # noqa: S606 - our own interpreter, so that signals reach the supervisor
