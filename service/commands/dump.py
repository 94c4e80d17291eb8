"""`codequarry dump`: every visible chunk, sorted, to compare two indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codequarry.service.commands import add_json, chosen, open_quarry

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from codequarry.service.terminal import Terminal

DESCRIPTION = """Prints every visible chunk, sorted, one a line: repository, branch, path, blob, lines, kind, hashes of its
text, terms and vector, and the names it defines. Indexes with equal contents print the same, whatever their
history and store."""

EXAMPLES = """  codequarry dump > before.tsv
  codequarry dump acme/api --json | head
  diff <(codequarry --store a dump) <(codequarry --store b dump)"""


def arguments(parser: ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("repo", nargs="?", metavar="REPO", help="only this repository: its full name, or the end of it")
    parser.add_argument("--branch", metavar="NAME", help="only this branch of it; worktree:FOLDER for a folder")
    add_json(parser, "print one JSON object a line, instead of tab-separated fields")


def run(args: Namespace, terminal: Terminal) -> int:
    """Prints the rows; 1 when there is none."""
    from codequarry.service.terminal import printable

    count = 0
    with open_quarry(args) as quarry:
        for state in chosen(quarry.repositories(), args.repo, args.branch) if args.repo else [None]:
            for row in quarry.dump(state.source if state else None):
                count += 1
                if args.json:
                    terminal.json(row)
                    continue
                symbols = " ".join(f"{printable(name)}/{kind}:{line}" for name, kind, line in row.symbols)
                cells = (
                    *(terminal.name(text) for text in (row.repo, row.branch, row.path)),
                    row.blob,
                    "modified" if row.modified else "",
                    f"{row.start_line}-{row.end_line}",
                    row.kind,
                    row.text_hash,
                    row.terms_hash,
                    row.vector_hash,
                    symbols,
                )
                terminal.write("\t".join(cells) + "\n")
    return 0 if count else 1
