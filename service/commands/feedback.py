"""`codequarry feedback`: keeps whether a file answers a question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codequarry.service.commands import add_json, open_quarry, repository_of

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from codequarry.service.terminal import Terminal

DESCRIPTION = """Keeps a judgement: that a file answers a question, or with --not that it does not. codequarry eval --from-feedback
measures search on what was kept, codequarry tune --from-feedback fits the ranking to it.

Judgements are lines of JSON in feedback.jsonl in the data folder, whatever store the index is in; those that are sent to a service
(--store codequarry+https://…, or POST /v1/feedback) are in its data folder. Kept are the question as it is given, the repository,
the path and the time; nothing of who judged, no key and no code. Question and path should hold no secrets."""

EXAMPLES = """  codequarry feedback "where are retries configured" --repo acme/api --path src/retry.py
  codequarry feedback "where are retries configured" --repo acme/api --path README.md --not
  codequarry eval --from-feedback"""


def arguments(parser: ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("question", metavar="QUESTION", help="the question that was asked")
    parser.add_argument(
        "--repo", required=True, metavar="NAME", help="the repository of the file: its name, or a folder"
    )
    parser.add_argument(
        "--path",
        required=True,
        action="append",
        metavar="PATH",
        help="the file, from the repository's root; repeatable",
    )
    parser.add_argument("--not", action="store_true", dest="wrong", help="the file does not answer the question")
    add_json(parser, "print what was kept")


def run(args: Namespace, terminal: Terminal) -> int:
    """Keeps it, once the index has shown that there is such a file."""
    from codequarry.remote import RemoteCodeSearch
    from codequarry.service.feedback import FILE, keep

    with open_quarry(args) as quarry:
        repo = repository_of(args.repo)
        if isinstance(quarry, RemoteCodeSearch):
            rows = [quarry.feedback(args.question, repo, path, answers=not args.wrong) for path in args.path]
            place = quarry.store.location
        else:
            # All are looked at before one is kept: a misspelt path leaves nothing behind.
            files = [quarry.read(repo, path) for path in args.path]
            data_dir = quarry.settings.data_dir
            rows = [
                keep(data_dir, args.question, file.source.repo, file.path, answers=not args.wrong) for file in files
            ]
            place = str(data_dir / FILE)
    if args.json:
        terminal.json({"kept": rows})
    else:
        terminal.say(f"kept in {place}")
    return 0
