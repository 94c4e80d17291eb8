"""`codequarry keys`: makes a key for the service, or lists those that are configured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codequarry.errors import BadInput
from codequarry.service.commands import add_json

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from codequarry.service.terminal import Terminal

DESCRIPTION = """Makes a key for callers of the service. The key is shown once; what the service is given is its entry, from which
the key cannot be made. Scopes: search (search, build prompts), read (files, repositories, jobs, metrics), admin (change
repositories and jobs; sees all), webhook (say that a repository has changed)."""

EXAMPLES = """  codequarry keys new alice --scope search --scope read
  codequarry keys new ops --scope admin --scope read --scope search
  codequarry keys new contractor --scope search --group shop-team
  export CODEQUARRY_API_KEYS="$(codequarry keys new ci --scope search --json | jq -r .entry),$CODEQUARRY_API_KEYS"
  codequarry keys list"""


def arguments(parser: ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("action", choices=("new", "list"), help="what to do")
    parser.add_argument("name", nargs="?", metavar="NAME", help="whose key it is: letters, digits, . and -")
    parser.add_argument(
        "--scope",
        action="append",
        default=[],
        choices=("search", "read", "admin", "webhook"),
        help="what it may do, may be given several times (search and read)",
    )
    parser.add_argument(
        "--group", action="append", default=[], metavar="GROUP", help="a group whose repositories it sees; repeatable"
    )
    add_json(parser)


def run(args: Namespace, terminal: Terminal) -> int:
    """Makes or lists; `list` gives 1 when there is none."""
    from codequarry.service.security import new_key, read_keys

    if args.action == "list":
        from codequarry.settings import load

        keys = [key.caller for key in read_keys(load().api_keys).keys]
        if args.json:
            terminal.json(
                {"keys": [{"id": one.id, "scopes": sorted(one.scopes), "access": one.access} for one in keys]}
            )
        else:
            terminal.lines(f"{one.id}\t{' '.join(sorted(one.scopes))}" for one in keys)
        return 0 if keys else 1
    if not args.name:
        raise BadInput("whose key is it?", hint="codequarry keys new NAME --scope search")
    key, entry = new_key(args.name, args.scope or ("search", "read"), args.group)
    if args.json:
        terminal.json({"key": key, "entry": entry})
        return 0
    terminal.lines([f"key    {key}", f"entry  {entry}"])
    terminal.say(
        "Give the key to its owner: it is not shown again. The entry goes into CODEQUARRY_API_KEYS of the service."
    )
    return 0
