"""`codequarry watch`: keeps folders indexed while they change."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from codequarry.errors import CodequarryError, NotFound
from codequarry.service.commands import add_json, flat, open_quarry
from codequarry.service.progress import counted, duration, label
from codequarry.service.terminal import printable

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from codequarry.code_search import CodeSearch
    from codequarry.service.terminal import Terminal
    from codequarry.types import Report, SourceState

DESCRIPTION = """Keeps folders indexed while they change: looks at them every second, indexes what has changed and says so.
Without PATH it watches every folder that is indexed. Ctrl-C ends it."""

EXAMPLES = """  codequarry watch
  codequarry watch ~/src/api ~/src/web
  codequarry watch . --every 5"""


def arguments(parser: ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("folders", nargs="*", metavar="PATH", help="a folder; it is indexed first if it is not yet")
    parser.add_argument("--every", type=_seconds, default=1.0, metavar="SECONDS", help="how often to look (1)")
    parser.add_argument("--once", action="store_true", help="look once, index what has changed, and end")
    add_json(parser, "print one JSON object for each change")


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.05 <= value <= 86400:
        raise ValueError
    return value


def run(args: Namespace, terminal: Terminal) -> int:
    """Watches until interrupted."""
    with open_quarry(args, create=bool(args.folders)) as quarry:
        wanted = [str(Path(folder).resolve()) for folder in args.folders]
        for folder in wanted:
            if folder not in {state.source.folder for state in quarry.repositories()}:
                _tell(quarry.index(folder), args, terminal)
        states = _watched(quarry, wanted)
        if not states:
            raise NotFound("no folder is indexed", hint="codequarry watch PATH indexes one and keeps it so")
        if not args.once:
            terminal.say(f"watching {counted(len(states), 'folder')}; Ctrl-C ends it")
        troubled: dict[str, str] = {}
        try:
            while True:
                watched = _watched(quarry, wanted)
                changed = sum(_look(quarry, state, troubled, args, terminal) for state in watched)
                if args.once:
                    terminal.say(_once(len(watched), changed, len(troubled)))
                    return 4 if troubled else 0
                time.sleep(args.every)
        except KeyboardInterrupt:
            terminal.say("stopped watching")
            return 0


def _watched(quarry: CodeSearch, wanted: list[str]) -> list[SourceState]:
    states = [state for state in quarry.repositories() if state.source.folder is not None]
    return [state for state in states if state.source.folder in wanted] if wanted else states


def _once(looked: int, changed: int, troubled: int) -> str:
    """What a single look has done."""
    said = f"{changed:,} had changed" if changed else "nothing has changed"
    failed = f", {troubled:,} could not be indexed" if troubled else ""
    return f"looked at {counted(looked, 'folder')}: {said}{failed}"


def _look(
    quarry: CodeSearch, state: SourceState, troubled: dict[str, str], args: Namespace, terminal: Terminal
) -> bool:
    """Indexes the folder if it has changed, and whether it had. What cannot be done now is said once, and tried again."""
    folder = state.source.folder or ""
    try:
        reports = quarry.freshen(state)
        _tell(reports, args, terminal)
        troubled.pop(folder, None)
        return any(report.added or report.changed or report.removed for report in reports)
    except CodequarryError as error:
        if troubled.get(folder) != error.message:
            troubled[folder] = error.message
            terminal.note(f"{folder}: {error.message}" + (f" ({error.hint})" if error.hint else ""))
        return False


def _tell(reports: list[Report], args: Namespace, terminal: Terminal) -> None:
    for report in reports:
        counted = (("added", report.added), ("changed", report.changed), ("removed", report.removed))
        counts = [f"{count:,} {name}" for name, count in counted if count]
        if args.json:
            terminal.json(flat(report))
        elif counts:
            said = f"{printable(label(report.source))}: {', '.join(counts)} in {duration(report.seconds)}"
            terminal.lines([f"{time.strftime('%H:%M:%S')} {said}"])
        terminal.out.flush()
