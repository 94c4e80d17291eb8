"""`codequarry keys`: makes a key for the service, or lists those that are configured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codequarry.errors import BadInput
from codequarry.service.commands import add_json

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from codequarry.service.terminal import Terminal

DESCRIPTION = """Makes a key for callers of the service. The key is shown once; what the service is given is its entry, from which
the key cannot be made: in CODEQUARRY_API_KEYS, or a line of CODEQUARRY_API_KEYS_FILE, which may change while it runs. `list` says
when each was last used. Scopes: search (search, build prompts), read (files, repositories, jobs, metrics), admin (change
repositories and jobs; sees all), webhook (say that a repository has changed)."""

EXAMPLES = """  codequarry keys new alice --scope search --scope read
  codequarry keys new ops --scope admin --scope read --scope search
  codequarry keys new contractor --scope search --group shop-team --days 90
  codequarry keys new ci --scope search --json | jq -r .entry >> /etc/codequarry/keys
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
    parser.add_argument("--days", type=int, metavar="N", help="it ends after so many days (never)")
    add_json(parser)


def run(args: Namespace, terminal: Terminal) -> int:
    """Makes or lists; `list` gives 1 when there is none."""
    if args.action == "list":
        return _list(args, terminal)
    from datetime import UTC, datetime, timedelta

    from codequarry.service.security import new_key

    if not args.name:
        raise BadInput("whose key is it?", hint="codequarry keys new NAME --scope search")
    if args.days is not None and not 0 < args.days <= 36_500:
        raise BadInput(f"{args.days} is no number of days", hint="from 1")
    until = datetime.now(UTC).date() + timedelta(days=args.days) if args.days else None
    key, entry = new_key(args.name, args.scope or ("search", "read"), args.group, until)
    if args.json:
        terminal.json({"key": key, "entry": entry})
        return 0
    terminal.lines([f"key    {key}", f"entry  {entry}"])
    terminal.say(
        "Give the key to its owner: it is not shown again. The entry goes into CODEQUARRY_API_KEYS of the service, "
        "or on a line of its own into the file that CODEQUARRY_API_KEYS_FILE names."
    )
    return 0


def _list(args: Namespace, terminal: Terminal) -> int:
    import time

    from codequarry.service.keyring import Keyring, read_used
    from codequarry.service.progress import ago
    from codequarry.settings import load

    settings, now = load(), time.time()
    keys, used = Keyring(settings).keys, read_used(settings.data_dir)
    if args.json:
        shown = [
            {
                "id": key.caller.id,
                "mark": key.mark,
                "scopes": sorted(key.caller.scopes),
                "access": key.caller.access,
                "until": key.until.isoformat() if key.until else None,
                "ended": key.has_ended(now),
                "used_at": used.get(key.mark),
            }
            for key in keys
        ]
        terminal.json({"keys": shown})
        return 0 if keys else 1
    for key in keys:
        ends = f"{'ended' if key.has_ended(now) else 'until'} {key.until}" if key.until else "no end"
        last = f"used {ago(now - used[key.mark])}" if key.mark in used else "not used yet"
        terminal.lines([f"{key.mark}\t{' '.join(sorted(key.caller.scopes))}\t{ends}\t{last}"])
    return 0 if keys else 1
