"""`codequarry repositories`: lists what is indexed by name, or removes one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codequarry.errors import BadInput
from codequarry.service.commands import add_json, chosen, flat, open_quarry

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from codequarry.service.terminal import Terminal

DESCRIPTION = """Lists the indexed repositories with their branches and folders, or removes one from the index.
Removing touches no file outside the index."""

EXAMPLES = """  codequarry repositories
  codequarry repositories list --json
  codequarry repositories remove github.com/acme/api
  codequarry repositories remove acme/api --branch release-2"""


def arguments(parser: ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("action", nargs="?", choices=("list", "remove"), default="list", help="what to do (list)")
    parser.add_argument("name", nargs="?", metavar="NAME", help="the repository: its full name, or the end of it")
    parser.add_argument("--branch", metavar="NAME", help="only this branch of it; worktree:FOLDER for a folder")
    add_json(parser)


def run(args: Namespace, terminal: Terminal) -> int:
    """Lists or removes; 1 when nothing is indexed."""
    if args.action == "remove" and not args.name:
        raise BadInput("which repository is to be removed?", hint="codequarry repositories lists them")
    with open_quarry(args) as quarry:
        states = chosen(quarry.repositories(), args.name, args.branch)
        if args.action == "list":
            if args.json:
                terminal.json({"repositories": [flat(state) for state in states]})
            else:
                terminal.lines(
                    f"{terminal.name(state.source.repo)}\t{terminal.name(state.source.branch)}" for state in states
                )
            return 0 if states else 1
        repos = sorted({state.source.repo for state in states})
        if len(repos) > 1:
            raise BadInput(
                f"{args.name!r} fits {len(repos)} repositories: {', '.join(repos)}", hint="give the full name"
            )
        removed = quarry.forget(repos[0], args.branch)
    if args.json:
        terminal.json({"removed": removed})
    else:
        terminal.lines(f"removed {terminal.name(str(source))}" for source in removed)
    return 0
