"""`codequarry jobs`: what is to be indexed in the background, how far it is, and why something is not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from codequarry.errors import BadInput, RepositoryNotFound
from codequarry.service.commands import add_json, flat
from codequarry.service.progress import ago

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterable

    from codequarry.ports import Ledger
    from codequarry.service.terminal import Terminal
    from codequarry.types import Job

DESCRIPTION = """Lists the jobs of the repositories that are kept indexed, or stops or repeats them. A job is for one branch, or for
the repository as a whole (branch -): which branches there are. A cancelled job stays so until there is another
commit or it is retried; a failed one shows its error, and is tried again for another commit or by hand."""

EXAMPLES = """  codequarry jobs
  codequarry jobs list acme/api --state failed
  codequarry jobs cancel acme/api --branch main
  codequarry jobs retry acme/api"""

STATES = ("waiting", "running", "done", "failed", "cancelled")


def arguments(parser: ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "action", nargs="?", choices=("list", "cancel", "retry"), default="list", help="what to do (list)"
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="the repository: its full name, or the end of it")
    parser.add_argument("--branch", metavar="NAME", help="only the job of this branch; - for the repository as a whole")
    parser.add_argument(
        "--state", action="append", default=[], choices=STATES, help="only jobs in this state; repeatable"
    )
    add_json(parser)


def run(args: Namespace, terminal: Terminal) -> int:
    """Lists, cancels or retries; 1 when there is no such job."""
    from codequarry.hints import queue_of
    from codequarry.settings import load
    from codequarry.store import open_ledger

    if args.action != "list" and not args.name:
        raise BadInput(f"{args.action} the jobs of which repository?", hint="codequarry jobs lists them")
    settings = load()
    ledger = open_ledger(args.store or settings.store, settings)
    try:
        jobs = _chosen(ledger, args)
        if args.action == "cancel":
            jobs = [changed for job in jobs if (changed := ledger.cancel(job.source))]
        elif args.action == "retry":
            wrong = [job for job in jobs if job.state != "done"]
            jobs = [changed for job in wrong or jobs if (changed := ledger.retry(job.source))]
            if (queue := queue_of(settings)) is not None:
                for job in jobs:
                    queue.poke(job.queue, job.source)
                queue.close()
    finally:
        ledger.close()
    if args.json:
        terminal.json({"jobs": [flat(job) for job in jobs]})
    else:
        terminal.lines(table(jobs, terminal, time.time()))
        if not jobs:
            terminal.say(none(args))
    return 0 if jobs else 1


def none(args: Namespace) -> str:
    """That there are no jobs of those that the arguments name."""
    if not args.name and not args.state and args.branch is None:
        return "nothing is kept indexed in the background; codequarry repositories add ADDRESS has that done"
    of = f" of {args.name}" if args.name else ""
    branch = "" if args.branch is None else f" for the branch {args.branch!r}"
    state = f" is {' or '.join(args.state)}" if args.state else ""
    return f"no job{of}{branch}{state}; codequarry jobs lists all"


def _chosen(ledger: Ledger, args: Namespace) -> list[Job]:
    """The jobs that the arguments name."""
    repo = None
    if args.name:
        wanted = args.name.strip("/")
        names = [one.repo for one in ledger.repositories() if f"/{one.repo}".endswith(f"/{wanted}")]
        if not names:
            raise RepositoryNotFound(
                f"no repository {args.name!r} is kept indexed", hint="codequarry jobs lists those that are"
            )
        if len(names) > 1 and args.name not in names:
            raise BadInput(
                f"{args.name!r} fits {len(names)} repositories: {', '.join(names)}", hint="give the full name"
            )
        repo = args.name if args.name in names else names[0]
    branch = "" if args.branch == "-" else args.branch
    return [job for job in ledger.jobs(repo, args.state) if branch in (None, job.source.branch)]


def table(jobs: Iterable[Job], terminal: Terminal, now: float) -> list[str]:
    """A line for each job, in columns; below it the error, where there is one."""
    rows = [
        (
            job,
            [
                terminal.name(f"{job.source.repo} {job.source.branch or '-'}"),
                job.state,
                _says(job, now),
                job.indexed[:8],
            ],
        )
        for job in jobs
    ]
    widths = [max((len(row[at]) for _, row in rows), default=0) for at in range(4)]
    lines = []
    for job, row in rows:
        lines.append("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True) if width).rstrip())
        lines += [f"    {terminal.name(text)}" for text in (job.error, job.hint) if text and job.state != "done"]
    return lines


def _says(job: Job, now: float) -> str:
    """How far the job is, or when what happened to it last."""
    if job.state == "running":
        progress = job.progress
        files = (
            f" {progress.files_done:,} of {progress.files_total:,} files" if progress and progress.files_total else ""
        )
        return f"{progress.phase if progress else 'begun'}{files}, began {ago(now - job.started_at)}"
    if job.state == "waiting":
        tried = f", attempt {job.attempts + 1}" if job.attempts else ""
        later = f"next try in {max(0, job.next_try_at - now):.0f} s" if job.next_try_at > now else f"for {job.queue}"
        return f"{later}{tried}"
    return ago(now - job.finished_at) if job.finished_at else ""
