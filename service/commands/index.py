"""`codequarry index`: folders, repositories and their addresses into the index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codequarry.errors import BadInput, CodequarryError
from codequarry.service.commands import add_json, flat, open_quarry
from codequarry.service.progress import Meter, counted, duration, label, size
from codequarry.service.terminal import printable

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from codequarry.code_search import CodeSearch
    from codequarry.service.terminal import Terminal
    from codequarry.types import Report

DESCRIPTION = """Indexes folders, git repositories (also bare ones) and their addresses (https, ssh, file).

A folder is indexed as it stands on disk, and searches keep it so. With --branch a repository's branches are
read from its commits instead. Running it again only does what has changed since, or goes on where a run was
stopped. `codequarry status --skipped` lists the files that were left out, with reasons."""

EXAMPLES = """  codequarry index .
  codequarry index ~/src/api ~/src/web
  codequarry index https://github.com/acme/api.git --branch main --branch release-2
  codequarry index /srv/export --name local/export --quiet
  codequarry index https://github.com/acme/api.git --queue"""


def arguments(parser: ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "specs", nargs="+", metavar="PATH|URL", help="a folder, a repository, or a repository's address"
    )
    parser.add_argument(
        "--branch", action="append", default=[], metavar="NAME", help="index this branch (may be given several times)"
    )
    parser.add_argument("--name", help="the repository's name in the index, instead of the one its remote gives")
    parser.add_argument(
        "--include-generated", action="store_true", help="also files that .gitattributes marks as generated or vendored"
    )
    parser.add_argument(
        "--queue",
        action="store_true",
        help="keep it indexed in the background, by workers or codequarry serve: addresses only; codequarry jobs shows how far",
    )
    parser.add_argument("--quiet", action="store_true", help="say nothing but errors")
    add_json(parser, "print one JSON object: reports, errors")


def run(args: Namespace, terminal: Terminal) -> int:
    """Indexes each; what cannot be indexed does not stop the others. The first error's exit status, else 0."""
    if args.name and len(args.specs) > 1:
        raise BadInput("--name names one repository, and there are several", hint="index them one by one")
    if args.queue:
        return _enqueue(args, terminal)
    meter = None if args.quiet else Meter(terminal)
    reports: list[Report] = []
    failed: list[tuple[str, CodequarryError]] = []
    with open_quarry(args, create=True) as quarry:
        for spec in args.specs:
            try:
                done = _index(quarry, spec, args, meter)
            except CodequarryError as error:
                if len(args.specs) == 1 and not args.json:
                    raise
                failed.append((spec, error))
            except KeyboardInterrupt:
                terminal.say("codequarry: interrupted; the index is consistent, and what was finished is kept")
                terminal.say("  run the same command again to go on")
                return 130
            else:
                reports += done
                if not args.json and not args.quiet:
                    for report in done:
                        terminal.lines(summary(report))
                    terminal.out.flush()
    if args.json:
        terminal.json(
            {
                "reports": [flat(report) for report in reports],
                "errors": [_error(spec, trouble) for spec, trouble in failed],
            }
        )
    else:
        for spec, trouble in failed:
            terminal.say(
                f"codequarry: {printable(spec)}: {printable(trouble.message)}"
                + (f"\n  {printable(trouble.hint)}" if trouble.hint else "")
            )
    return failed[0][1].exit if failed else 0


def _enqueue(args: Namespace, terminal: Terminal) -> int:
    """Registers each address and asks for it to be indexed; what was registered before keeps what else is known of it."""
    from dataclasses import replace

    from codequarry.hints import queue_of
    from codequarry.ingest.jobs import describe
    from codequarry.settings import load
    from codequarry.store import open_ledger
    from codequarry.types import Source

    settings = load()
    found = [
        describe(spec, settings, name=args.name, branches=args.branch, generated=args.include_generated)
        for spec in args.specs
    ]
    ledger, queue = open_ledger(args.store or settings.store, settings), queue_of(settings)
    jobs = []
    for repository in found:
        if (known := ledger.repository(repository.repo)) is not None:
            branches = _together(known.branches, repository.branches)
            generated = known.include_generated or repository.include_generated
            repository = replace(known, url=repository.url, branches=branches, include_generated=generated)
        ledger.register(repository)
        jobs.append(ledger.want(Source(repository.repo, ""), reason="request"))
        if queue is not None:
            queue.poke("sync", jobs[-1].source)
        if not args.json and not args.quiet:
            terminal.lines([f"{terminal.name(repository.repo)}  is queued; codequarry jobs shows how far it is"])
    if args.json:
        terminal.json({"jobs": [flat(job) for job in jobs]})
    ledger.close()
    return 0


def _together(known: tuple[str, ...], named: tuple[str, ...]) -> tuple[str, ...]:
    """The branches of both; none at all means the default one, which is not to be lost when others come."""
    if known == named:
        return known
    return tuple(dict.fromkeys([*(known or ("HEAD",)), *(named or ("HEAD",))]))


def _index(quarry: CodeSearch, spec: str, args: Namespace, meter: Meter | None) -> list[Report]:
    try:
        return quarry.index(
            spec,
            branches=tuple(args.branch),
            name=args.name,
            include_generated=args.include_generated or quarry.settings.include_generated,
            progress=meter,
        )
    finally:
        if meter:
            meter.clear()


def summary(report: Report) -> list[str]:
    """What indexing one source did, as a line, and its notes."""
    counts = [
        f"{count:,} {name}"
        for name, count in (
            ("added", report.added),
            ("changed", report.changed),
            ("removed", report.removed),
            ("unchanged", report.unchanged),
            ("left out", report.skipped),
        )
        if count
    ]
    files = counted(report.state.files, "file") + (f" ({', '.join(counts)})" if counts else "")
    speed = f", {size(report.bytes / report.seconds)}/s" if report.bytes and report.seconds > 0.5 else ""
    read = f"read {size(report.bytes)}" if report.bytes else "nothing to read,"
    done = f"{size(report.state.size_bytes)} of text  {read} in {duration(report.seconds)}{speed}"
    empty = []
    if not report.state.files:
        why = "codequarry status --skipped says why" if report.skipped else "there is none"
        empty = [f"  no file there can be searched: {why}"]
    return [
        f"{printable(label(report.source))}  {files}  {counted(report.state.chunks, 'chunk')}  {done}",
        *empty,
        *(f"  {printable(note)}" for note in report.notes),
    ]


def _error(spec: str, error: CodequarryError) -> dict[str, object]:
    return {"spec": spec, "code": error.code, "message": error.message, "hint": error.hint}
