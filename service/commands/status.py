"""`codequarry status`: what is indexed, how much, how old, and what was left out and why."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from codequarry.service.commands import add_json, chosen, flat, open_quarry
from codequarry.service.progress import ago, counted, label, size

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from codequarry.service.terminal import Terminal
    from codequarry.types import SourceState

DESCRIPTION = """Shows what is indexed: each branch and folder with its commit, files, chunks, size and age.
With --skipped the files that were left out, each with its reason."""

EXAMPLES = """  codequarry status
  codequarry status acme/api --skipped
  codequarry status --json | jq '.sources[] | select(.building)'"""


def arguments(parser: ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("repo", nargs="?", metavar="REPO", help="only this repository: its full name, or the end of it")
    parser.add_argument("--skipped", action="store_true", help="list the files that were left out, with reasons")
    add_json(parser, "print one JSON object: store, model, sources")


def run(args: Namespace, terminal: Terminal) -> int:
    """Prints the state."""
    with open_quarry(args) as quarry:
        states = chosen(quarry.repositories(), args.repo)
        skipped = {state.source: quarry.skipped(state.source) for state in states} if args.skipped else {}
        model, location = quarry.store.model(), quarry.store.location
    if args.json:
        sources = [
            flat(state) | ({"left_out": list(skipped[state.source])} if args.skipped else {}) for state in states
        ]
        terminal.json({"store": location, "model": model[0] if model else None, "sources": sources})
        return 0
    if args.skipped:
        for state in states:
            for one in skipped[state.source]:
                detail = f"  {one.detail}" if one.detail else ""
                terminal.lines(
                    [
                        f"{one.reason:<12} {terminal.name(label(state.source))}  {terminal.name(one.path)}{terminal.name(detail)}"
                    ]
                )
        if not any(skipped.values()):
            terminal.say("nothing was left out")
        return 0
    terminal.lines(table(states, terminal, time.time()))
    files, chunks, text = (sum(getattr(state, name) for state in states) for name in ("files", "chunks", "size_bytes"))
    named = f", model {model[0]}" if model else ""
    terminal.say(f"{location}: {counted(files, 'file')}, {counted(chunks, 'chunk')}, {size(text)} of text{named}")
    return 0


def table(states: list[SourceState], terminal: Terminal, now: float) -> list[str]:
    """A line for each source, in columns."""
    rows = []
    for state in states:
        at = f"on {state.head}" if state.source.folder and state.head else ""
        rows.append(
            [
                terminal.name(label(state.source)),
                " ".join(part for part in (state.commit[:8], terminal.name(at)) if part),
                counted(state.files, "file"),
                counted(state.chunks, "chunk"),
                f"{size(state.size_bytes)} of text",
                f"{state.skipped:,} left out" if state.skipped else "",
                age(state, now),
            ]
        )
    widths = [max((len(row[at]) for row in rows), default=0) for at in range(len(rows[0]) if rows else 0)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True) if width).rstrip() for row in rows
    ]


def age(state: SourceState, now: float) -> str:
    """When the source was indexed, or that it is not finished."""
    if not state.indexed_at:
        return "not finished: run codequarry index again"
    indexed = f"indexed {ago(now - state.indexed_at)}"
    return f"{indexed}, being indexed again" if state.building else indexed
