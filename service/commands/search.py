"""`codequarry search`: the query in, ranked code out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codequarry.service.commands import add_filters, add_json, add_no_refresh, ask, question

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from codequarry.service.terminal import Terminal

DESCRIPTION = """Finds the code that answers a question, the best first.

A query is words and, where wanted, "exact phrase", /regular expression/, the filters repo: lang: path:
branch: symbol: kind:, and - before any of these to leave it out. Folders that were indexed from disk are
looked at first, and what changed in them is indexed (--no-refresh leaves that out)."""

EXAMPLES = """  codequarry search "where are retries configured"
  codequarry search 'parse config lang:go -path:vendor/**'
  codequarry search '"connection refused"' --repo acme/api --limit 3
  codequarry search --json 'symbol:Client kind:class' | jq '.hits[].path'
  git diff | codequarry search --plain -"""


def arguments(parser: ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("query", nargs="+", metavar="QUERY", help="the query; - reads it from standard input")
    parser.add_argument("--limit", type=int, default=10, metavar="N", help="how many hits (10)")
    parser.add_argument("--cursor", help="go on where an answer stopped: its next_cursor")
    parser.add_argument(
        "--lines", type=int, metavar="N", help="how many lines of a hit to show (12 on a terminal, else all)"
    )
    parser.add_argument(
        "--all-matches",
        action="store_true",
        help="of phrases and regular expressions: every line of a file that matches, not the first places alone",
    )
    parser.add_argument("--explain", action="store_true", help="show why each hit stands where it does")
    add_no_refresh(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--plain", action="store_true", help="the query is plain text: nothing in it is syntax")
    how.add_argument(
        "--syntax", action="store_true", help="the query is syntax, also where it is long or has line breaks"
    )
    add_json(parser, "print one JSON object: hits, notes, next_cursor, took_ms")
    add_filters(parser)


def run(args: Namespace, terminal: Terminal) -> int:
    """Searches; 0 when something was found, else 1."""
    query = question(args.query)
    answer = ask(
        args,
        terminal,
        lambda quarry, **given: quarry.search(
            query,
            limit=args.limit,
            cursor=args.cursor,
            explain=args.explain,
            plain=args.plain,
            syntax=args.syntax,
            all_matches=args.all_matches,
            **given,
        ),
    )
    if args.json:
        terminal.json(
            {
                "hits": answer.hits,
                "notes": answer.notes,
                "next_cursor": answer.next_cursor,
                "took_ms": round(answer.took_ms, 3),
                "total": answer.total,
                "query": answer.query,
            }
        )
    else:
        from codequarry.service.hits import render

        shown = render(answer, terminal, most_lines=args.lines, explain=args.explain, all_matches=args.all_matches)
        terminal.lines(shown)
        if any(hit.more_matches for hit in answer.hits):
            terminal.note("not all places that match are shown: --all-matches shows every line that does")
        for note in answer.notes:
            terminal.note(note)
        if not answer.hits:
            terminal.say("nothing found")
        elif answer.next_cursor and (terminal.rich or terminal.err_is_terminal):
            terminal.note(f"more with --cursor {answer.next_cursor}")
    return 0 if answer.hits else 1
