"""`codequarry compact`: makes an index as small and quick as it can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codequarry.service.commands import open_quarry

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from codequarry.service.terminal import Terminal

DESCRIPTION = """Removes what no branch and no folder shows any more, also what a stopped run has left, and merges what was
written in pieces. Searching goes on meanwhile; `codequarry doctor` says when it is worth it."""

EXAMPLES = """  codequarry compact
  codequarry --store http://localhost:9200 compact"""


def arguments(parser: ArgumentParser) -> None:
    """There are none."""


def run(args: Namespace, terminal: Terminal) -> int:
    """Compacts the index."""
    with open_quarry(args) as quarry:
        quarry.store.compact()
        terminal.say(f"{quarry.store.location} is compact")
    return 0
