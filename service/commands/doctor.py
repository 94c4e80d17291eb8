"""`codequarry doctor`: checks every part, and says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codequarry.service.commands import add_json

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from codequarry.service.terminal import Terminal

DESCRIPTION = """Checks every part that codequarry needs: settings, store, model, git, grammars, disk space, installation; and
says what to do about each that is not well."""

EXAMPLES = """  codequarry doctor
  codequarry --store http://localhost:9200 doctor
  codequarry doctor --json | jq '.checks[] | select(.ok | not)'"""


def arguments(parser: ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_json(parser, "print one JSON object: ok, checks")


def run(args: Namespace, terminal: Terminal) -> int:
    """Prints a line for each check; 0 when all is well, else 1."""
    from codequarry.service.doctor import examine
    from codequarry.service.terminal import printable

    checks = []
    for check in examine(args.store, args.model):
        checks.append(check)
        if not args.json:
            mark = terminal.paint("ok  ", "green") if check.ok else terminal.paint("FAIL", "red")
            terminal.lines([f"{mark}  {check.part:<12} {printable(check.says)}"])
            if check.hint and not check.ok:
                terminal.lines([f"      {'':<12} {printable(check.hint)}"])
            terminal.out.flush()
    well = all(check.ok for check in checks)
    if args.json:
        terminal.json({"ok": well, "checks": checks})
    return 0 if well else 1
