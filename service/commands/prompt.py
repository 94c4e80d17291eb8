"""`codequarry prompt`: a question in, a context for a language model out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codequarry.service.commands import add_filters, add_json, add_no_refresh, ask, question

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from codequarry.service.terminal import Terminal

DESCRIPTION = """Builds a context for a language model: the code that answers the question, within a budget of tokens,
each piece cited with repository, commit, path and lines."""

EXAMPLES = """  codequarry prompt "why does checkout time out"
  codequarry prompt "how is a session stored" --budget 8000 --format xml --repo acme/api
  codequarry prompt - --json < question.txt"""


def arguments(parser: ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("question", nargs="+", metavar="QUESTION", help="the question; - reads it from standard input")
    parser.add_argument(
        "--budget", type=int, default=4000, metavar="TOKENS", help="the most tokens that the context may have (4000)"
    )
    parser.add_argument(
        "--format",
        choices=("markdown", "xml", "json"),
        default="markdown",
        help="how the context is written (markdown)",
    )
    add_no_refresh(parser)
    add_json(parser, "print the context with its tokens, blocks and what was dropped, as one JSON object")
    add_filters(parser)


def run(args: Namespace, terminal: Terminal) -> int:
    """Prints the context; 0 when there is something in it, else 1."""
    asked = question(args.question)
    prompt = ask(
        args,
        terminal,
        lambda quarry, **given: quarry.prompt(asked, budget=args.budget, format=args.format, **given),
    )
    if args.json:
        terminal.json(prompt)
        return 0 if prompt.blocks else 1
    if not prompt.text:
        pass  # the notes say why
    elif terminal.is_terminal:
        from codequarry.service.terminal import printable

        terminal.lines(printable(line.expandtabs(4)) for line in prompt.text.split("\n"))
    else:
        terminal.write(prompt.text if prompt.text.endswith("\n") else prompt.text + "\n")
    for note in prompt.notes:
        terminal.note(note)
    if terminal.err_is_terminal:
        terminal.note(
            f"{prompt.tokens:,} of {prompt.budget:,} tokens, {len(prompt.blocks)} pieces, {len(prompt.dropped)} left out"
        )
    return 0 if prompt.blocks else 1
