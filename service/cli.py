"""The `codequarry` command: finds the sub-command, reads its arguments, runs it, and says what went wrong.

Start-up is a feature: this module imports the standard library's argparse and nothing heavy, a sub-command's module is imported
when it is asked for, and each imports what it needs when it runs. The bodies are in `commands/`, one file each.
"""

from __future__ import annotations

import sys
from argparse import Action, ArgumentParser, RawDescriptionHelpFormatter
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from codequarry.errors import BadInput, CodequarryError, QuerySyntax

if TYPE_CHECKING:
    from collections.abc import Sequence


class Command(NamedTuple):
    """A sub-command; `module` of `service.commands` has `DESCRIPTION`, `EXAMPLES`, `arguments(parser)`, `run(args, terminal)`."""

    name: str
    help: str
    module: str


COMMANDS = (
    Command("index", "index folders, repositories or their addresses", "index"),
    Command("search", "find the code that answers a question", "search"),
    Command("prompt", "build a context for a language model, with citations", "prompt"),
    Command("read", "print a file, or some of its lines, as indexed", "read"),
    Command("status", "show what is indexed, and what was left out and why", "status"),
    Command("repositories", "list, register or remove repositories", "repositories"),
    Command("watch", "keep folders indexed while they change", "watch"),
    Command("dump", "print every visible chunk, sorted, to compare two indexes", "dump"),
    Command("eval", "measure search on questions whose answers are known", "eval"),
    Command("feedback", "keep whether a file answers a question", "feedback"),
    Command("tune", "fit the ranking to questions whose answers are known", "tune"),
    Command("adapt", "fine-tune the code model to your own repositories", "adapt"),
    Command("compact", "remove what nothing shows any more, and merge what was written in pieces", "compact"),
    Command("doctor", "check every part and say what to do", "doctor"),
    Command("serve", "answer REST, MCP and webhooks, and keep repositories indexed", "serve"),
    Command("worker", "run the workers of a team on this machine", "worker"),
    Command("webhooks", "make the addresses that forges post to when something was pushed", "webhooks"),
    Command("jobs", "show what is indexed in the background, cancel or retry it", "jobs"),
    Command("keys", "make a key for callers of the service", "keys"),
    Command("mcp", "serve the index as tools for a language model, over stdio", "mcp"),
    Command("dev", "start or stop Elasticsearch and Redis on this machine, to try team mode", "dev"),
    Command("completion", "print the completion script of a shell", "completion"),
)

# Internal errors have the exit status that sysexits.h gives them, so that they are told from "nothing found".
INTERNAL, INTERRUPTED, BROKEN_PIPE = 70, 130, 141

EXITS = """exit status:
  0    found, or done
  1    nothing found, or there is no such thing
  2    a query, an argument or a setting that cannot be used
  3    not ready: nothing indexed, another model or version, or another process is writing
  4    something codequarry needs has failed: the store, git, the model
  5    denied
  70   an error in codequarry itself
  130  interrupted
  141  whoever read the output has stopped reading"""

# What comes with an extra only, by the package that is missed first.
_EXTRA_OF = {
    **dict.fromkeys(("fastapi", "uvicorn", "starlette", "pydantic", "mcp", "anyio"), "service"),
    **dict.fromkeys(("celery", "kombu", "redis"), "workers"),
}

_GLOBAL_WITH_VALUE = ("--store", "--model", "--color")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status. Never raises, and leaves no traceback unless asked to.

    Without `argv` it runs that of the process, and ends the process instead of returning: taking apart what an interpreter
    holds in memory takes an eighth of the time of a search, and the index is closed by then.
    """
    import gc
    import os

    if argv is None:
        gc.set_threshold(50_000)  # modules and answers are no garbage, and looking took 4 of 100
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the shell has closed it (`>&-`)
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  as long as the process
    code = _guarded(list(sys.argv[1:] if argv is None else argv))
    if argv is None:
        sys.stderr.flush()
        os._exit(code)
    return code


def _guarded(words: list[str]) -> int:
    try:
        code = _run(words)
        sys.stdout.flush()
        return code
    except CodequarryError as error:
        return report(error)
    except KeyboardInterrupt:
        return _say("interrupted", "", INTERRUPTED)
    except BrokenPipeError:
        # What is left in the buffer goes nowhere: closing standard output must not fail again.
        import os

        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except SystemExit as leaving:  # argparse, after --help
        sys.stdout.flush()
        return leaving.code if isinstance(leaving.code, int) else 0
    except ModuleNotFoundError as error:
        if extra := _EXTRA_OF.get((error.name or "").partition(".")[0]):
            return report(
                BadInput(
                    f"this command needs the package {error.name}, which is not installed",
                    hint=f"pip install 'codequarry[{extra}]' (in a checkout: pip install '.[{extra}]')",
                )
            )
        return _internal(error)
    except Exception as error:  # a fault of ours: one line, and where it was for those who ask
        if "--traceback" in words:
            import traceback

            traceback.print_exc()
        return _internal(error)


def _run(words: list[str]) -> int:
    before, name, after = split(words)
    if name is None or (name == "help" and not after):
        if "--version" in before:
            from codequarry import __version__

            sys.stdout.write(f"codequarry {__version__}\n")
            return 0
        sys.stdout.write(overview())
        return 0 if name or not before or "-h" in before or "--help" in before else _no_command()
    if name == "help":
        before, name, after = [], after[0], ["--help"]
    command = find(name)
    parser, module = build(command)
    if name in ("search", "prompt"):
        after = [_word(word) for word in after]
    args = parser.parse_args(before + after)
    from codequarry.service.terminal import open_terminal

    terminal = open_terminal(args.color)
    code: int = module.run(args, terminal)
    return code


def _word(word: str) -> str:
    """A word of the command line; a filter that is taken away (`-path:vendor`) is a word of the query and no option.

    argparse takes what begins with `-` for an option unless it holds a space, and a space at its end changes no query.
    """
    name, colon, _ = word.removeprefix("-").partition(":")
    return (
        f"{word} "
        if word[:1] == "-" and colon and name in ("repo", "lang", "path", "branch", "symbol", "kind")
        else word
    )


def split(words: Sequence[str]) -> tuple[list[str], str | None, list[str]]:
    """The options before the sub-command, its name (None where there is none), and what comes after it."""
    at = 0
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] in _GLOBAL_WITH_VALUE else 1
    if at >= len(words):
        return list(words), None, []
    return list(words[:at]), words[at], list(words[at + 1 :])


def find(name: str) -> Command:
    """The sub-command of that name.

    Raises:
        BadInput: there is none; the hint names one that comes near.
    """
    for command in COMMANDS:
        if command.name == name:
            return command
    import difflib

    near = difflib.get_close_matches(name, [command.name for command in COMMANDS], 1)
    raise BadInput(
        f"there is no command {name!r}",
        hint=f"did you mean codequarry {near[0]}?"
        if near
        else 'codequarry --help lists them; to search: codequarry search "…"',
    )


def build(command: Command) -> tuple[ArgumentParser, Any]:
    """The parser of a sub-command, and its module."""
    from importlib import import_module

    module = import_module(f"codequarry.service.commands.{command.module}")
    parser = Parser(
        prog=f"codequarry {command.name}",
        description=module.DESCRIPTION,
        epilog=f"examples:\n{module.EXAMPLES}",
        formatter_class=_Formatter,
        allow_abbrev=False,
        add_help=False,
    )
    module.arguments(parser)
    parser.usage = f"codequarry {command.name} [option …] {' '.join(_words(parser))}".rstrip()
    everywhere = parser.add_argument_group("everywhere")
    everywhere.add_argument(
        "--store", metavar="LOCATION", help="the index: a folder, or the http(s) address of Elasticsearch"
    )
    everywhere.add_argument("--model", metavar="NAME", help="the embedding model of a new index (code)")
    everywhere.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="colours; auto: on a terminal, unless NO_COLOR is set",
    )
    everywhere.add_argument(
        "--traceback", action="store_true", help="show where an error in codequarry itself was raised"
    )
    everywhere.add_argument("-h", "--help", action="help", help="show this and exit")
    return parser, module


def _words(parser: ArgumentParser) -> list[str]:
    """The arguments that are no options, as a usage line shows them; argparse wraps its own differently in each Python."""
    shapes = {"+": "{}…", "*": "[{}…]", "?": "[{}]"}
    words = []
    for action in parser._actions:
        if not action.option_strings:
            name = action.metavar if isinstance(action.metavar, str) else "|".join(action.choices or ())
            words.append(shapes.get(str(action.nargs), "{}").format(name))
    return words


def overview() -> str:
    """What `codequarry --help` prints."""
    width = max(len(command.name) for command in COMMANDS)
    commands = "\n".join(f"  {command.name:<{width}}  {command.help}" for command in COMMANDS)
    return f"""usage: codequarry [--store LOCATION] COMMAND …

Semantic code search over many repositories: ranked code with repository, commit, path and lines.

commands:
{commands}

everywhere:
  --store LOCATION  the index: a folder, or the http(s) address of Elasticsearch
  --model NAME      the embedding model of a new index
  --color WHEN      auto, always or never
  --version         print the version
  --help            print this; codequarry COMMAND --help shows a command's options and examples

examples:
  codequarry index .
  codequarry search "where are retries configured"
  codequarry prompt "why does checkout time out" --budget 6000

{EXITS}
"""


def _no_command() -> int:
    raise BadInput("which command?", hint="codequarry --help lists them")


class Parser(ArgumentParser):
    """An argument parser whose complaints are errors of codequarry: one line, what to do, exit status 2."""

    def error(self, message: str) -> NoReturn:
        """Raises what argparse found wrong."""
        import difflib
        import re

        hint = f"see {self.prog} --help"
        if message.startswith("the following arguments are required: "):
            names = message.removeprefix("the following arguments are required: ").split(", ")
            message = f"{' and '.join(map(self._said, names))} {'is' if len(names) == 1 else 'are'} missing"
            hint = f"{self.usage}; {hint}"
        elif found := re.fullmatch(r"argument (\S+): invalid (int|float) value: ('.*')", message, re.DOTALL):
            message = f"{found[1]}: {found[3]} is no {'whole ' if found[2] == 'int' else ''}number"
        elif message.startswith("unrecognized arguments: "):
            words = message.removeprefix("unrecognized arguments: ").split(" ")
            message = f"what is {' '.join(words)!r}?"
            options = [option[2:] for action in self._actions for option in action.option_strings]
            if near := difflib.get_close_matches(words[0].partition("=")[0].strip("-"), options, 1):
                hint = f"did you mean --{near[0]}? {hint}"
        raise BadInput(message, hint=hint)

    def _said(self, name: str) -> str:
        """An argument as the usage line has it: where it has no name of its own, what it can be."""
        choices = next((list(one.choices or ()) for one in self._actions if one.dest == name and not one.metavar), [])
        return f"{', '.join(choices[:-1])} or {choices[-1]}" if choices else name


class _Formatter(RawDescriptionHelpFormatter):
    """Help that says nothing twice, at a width that does not depend on the terminal."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=100)

    def _format_action_invocation(self, action: Action) -> str:
        # Python before 3.13 writes the metavar after each spelling of an option.
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        value = self._format_args(action, action.dest.upper())
        return f"{', '.join(action.option_strings)} {value}"


def report(error: CodequarryError) -> int:
    """Says what went wrong, and returns the exit status for it."""
    from codequarry.service.terminal import columns, printable

    place = ""
    if isinstance(error, QuerySyntax):
        start = error.query.rfind("\n", 0, error.position) + 1
        before = error.query[start : error.position][-60:]
        after = error.query[error.position :].partition("\n")[0][:40]
        place = f"\n  {printable(before)}{printable(after)}\n  {' ' * columns(printable(before))}^"
    return _say(printable(error.message) + place, printable(error.hint), error.exit)


def _internal(error: Exception) -> int:
    from codequarry.service.terminal import printable

    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        return _say(printable(f"{error.strerror}{where}"), "codequarry doctor checks each part", 4)
    return _say(
        printable(f"{type(error).__name__}: {error}"),
        "this is an error in codequarry; with --traceback it shows where, which helps whoever mends it",
        INTERNAL,
    )


def _say(message: str, hint: str, code: int) -> int:
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        code = code or BROKEN_PIPE
    text = f"codequarry: {message}\n" + (f"  {hint}\n" if hint else "")
    sys.stderr.write(text.encode("utf-8", "backslashreplace").decode("utf-8"))
    return code
