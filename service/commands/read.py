"""`codequarry read`: a file, or some of its lines, as the index has it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from codequarry.errors import BadInput
from codequarry.service.commands import add_json, open_quarry, repository_of

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from codequarry.service.terminal import Terminal

DESCRIPTION = """Prints a file, or some of its lines, as the index has it. In a pipe the text comes as it is; on a terminal
with line numbers and colours."""

EXAMPLES = """  codequarry read github.com/acme/api src/client.py
  codequarry read acme/api src/client.py:40-80
  codequarry read acme/api src/client.py:40 --branch release"""

_LINES = re.compile(r"(?P<path>.+?):(?P<start>\d+)(?:-(?P<end>\d+))?", re.DOTALL)


def arguments(parser: ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("repo", metavar="REPO", help="the repository: its full name, or the end of it")
    parser.add_argument(
        "path", metavar="PATH[:FIRST[-LAST]]", help="the file, from the repository's root, and its lines"
    )
    parser.add_argument("--branch", metavar="NAME", help="this branch instead of the default")
    add_json(parser, "print the file with repository, commit and path, as one JSON object")


def run(args: Namespace, terminal: Terminal) -> int:
    """Prints the lines."""
    path, start, end = place(args.path)
    with open_quarry(args) as quarry:
        file = quarry.read(repository_of(args.repo), path, branch=args.branch, start_line=start, end_line=end)
    if args.json:
        from codequarry.service.commands import flat

        terminal.json({**flat(file), "start_line": start or 1, "end_line": end})
    elif terminal.rich:
        from codequarry.service.hits import numbered

        terminal.lines(numbered(file.text.removesuffix("\n").split("\n"), start or 1, file.language, terminal))
    else:
        terminal.write(file.text if file.text.endswith("\n") or not file.text else file.text + "\n")
    return 0


def place(text: str) -> tuple[str, int | None, int | None]:
    """Path, first and last line of `PATH`, `PATH:FIRST` or `PATH:FIRST-LAST`; the last is None where only one number stands.

    Raises:
        BadInput: the lines are in the wrong order, or there is no line 0.
    """
    found = _LINES.fullmatch(text)
    if not found:
        return text, None, None
    start = int(found["start"])
    end = int(found["end"]) if found["end"] else start
    if start < 1 or end < start:
        raise BadInput(
            f"{text!r}: lines count from 1, and the first comes before the last", hint="like src/client.py:40-80"
        )
    return found["path"], start, end
