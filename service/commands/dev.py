"""`codequarry dev`: Elasticsearch and Redis on this machine, to try team mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codequarry.service.commands import add_json
from codequarry.service.terminal import printable

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from codequarry.service.terminal import Terminal

DESCRIPTION = """Starts, stops or shows a real Elasticsearch and Redis on this machine, to try team mode: containers where Docker
runs, else from wheels and pinned jars, without root or Java. Their data stays when they are stopped."""

EXAMPLES = """  codequarry dev up
  codequarry --store http://localhost:9200 index .
  codequarry dev status
  codequarry dev down"""


def arguments(parser: ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("action", choices=("up", "down", "status"), help="what to do")
    parser.add_argument(
        "--only",
        action="append",
        choices=("elasticsearch", "redis"),
        help="start only this server (may be given twice)",
    )
    parser.add_argument(
        "--version", dest="es_version", metavar="VERSION", help="of Elasticsearch, when it is started from jars"
    )
    parser.add_argument("--no-docker", action="store_true", help="use wheels and jars also where Docker runs")
    add_json(parser)


def run(args: Namespace, terminal: Terminal) -> int:
    """Does it; `status` gives 1 when a server is not ready or none was started."""
    from codequarry.compose import servers
    from codequarry.settings import load

    data_dir = load().data_dir

    def say(line: str) -> None:
        terminal.say(printable(line))

    if args.action == "down":
        stopped = servers.down(data_dir=data_dir, report=say)
        if args.json:
            terminal.json({"stopped": stopped})
        elif not stopped:
            say("nothing was running")
        return 0
    if args.action == "status":
        states = servers.status(data_dir=data_dir)
        if args.json:
            terminal.json({"servers": states})
        else:
            terminal.lines(printable(str(state)) for state in states)
            if not states:
                say("nothing was started; codequarry dev up does")
        return 0 if states and all(state.answers for state in states) else 1
    running = servers.up(
        args.only or servers.PARTS,
        args.es_version or servers.VERSION,
        data_dir=data_dir,
        docker=False if args.no_docker else None,
        report=say,
    )
    if args.json:
        terminal.json({"servers": running.servers})
        return 0
    terminal.lines(f"{part} {url}" for part, url in running.urls.items())
    if told := [f"CODEQUARRY_{part.upper()}_URL={url}" for part, url in running.urls.items()]:
        say(f"to use {'it' if len(told) == 1 else 'them'}: export {' '.join(told)}")
    return 0
