"""Completion scripts, made from the parsers of the commands: what the shell offers is what the command takes."""

from __future__ import annotations

from argparse import Action
from typing import NamedTuple

from codequarry.service.cli import COMMANDS, build


class Option(NamedTuple):
    """One option of a command. `values`: the words it takes; `takes`: "", "word" or "file"."""

    flags: tuple[str, ...]
    help: str
    takes: str
    values: tuple[str, ...]


class Offer(NamedTuple):
    """What may follow a command: its options, the words its first arguments are chosen from, and whether files fit."""

    name: str
    help: str
    options: tuple[Option, ...]
    words: tuple[str, ...]
    files: bool


_FILES = {"specs", "folders"}


def offers() -> list[Offer]:
    """What every command takes."""
    found = []
    for command in COMMANDS:
        parser, _ = build(command)
        options, words, files = [], [], False
        for action in parser._actions:
            if action.option_strings:
                options.append(_option(action))
            else:
                words += [str(word) for word in action.choices or ()]
                files = files or action.dest in _FILES
        found.append(Offer(command.name, command.help, tuple(options), tuple(words), files))
    return found


def _option(action: Action) -> Option:
    values = tuple(str(value) for value in action.choices or ())
    takes = "" if action.nargs == 0 else "file" if action.dest == "store" else "word"
    return Option(tuple(action.option_strings), action.help or "", takes, values)


def script(shell: str) -> str:
    """The script for bash, zsh or fish."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](offers())


def _bash(commands: list[Offer]) -> str:
    cases = []
    for offer in commands:
        flags = " ".join(flag for option in offer.options for flag in option.flags)
        values = "\n".join(
            f"            {'|'.join(option.flags)}) {_bash_value(option)}return ;;"
            for option in offer.options
            if option.takes
        )
        rest = f'COMPREPLY=($(compgen -W "{" ".join(offer.words)}" -- "$word"))' if offer.words else ""
        if offer.files:
            rest = 'compopt -o filenames; COMPREPLY=($(compgen -f -- "$word"))'
        cases.append(
            f"""    {offer.name})
        case "$before" in
{values}
        esac
        if [[ "$word" == -* ]]; then COMPREPLY=($(compgen -W "{flags}" -- "$word")); return; fi
        {rest or ":"}
        ;;"""
        )
    names = " ".join(offer.name for offer in commands)
    body = "\n".join(cases)
    return f"""# bash completion for codequarry
_codequarry() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" command="" at
    COMPREPLY=()
    for ((at = 1; at < COMP_CWORD; at++)); do
        case "${{COMP_WORDS[at]}}" in
            --store|--model|--color) ((at++)) ;;
            -*) ;;
            *) command="${{COMP_WORDS[at]}}"; break ;;
        esac
    done
    case "$command" in
    "")
        case "$before" in
            --model) return ;;
            --store) compopt -o filenames; COMPREPLY=($(compgen -f -- "$word")); return ;;
            --color) COMPREPLY=($(compgen -W "auto always never" -- "$word")); return ;;
        esac
        if [[ "$word" == -* ]]; then COMPREPLY=($(compgen -W "--store --model --color --version --help" -- "$word"));
        else COMPREPLY=($(compgen -W "{names}" -- "$word")); fi
        ;;
{body}
    esac
}}
complete -F _codequarry codequarry
"""


def _bash_value(option: Option) -> str:
    if option.values:
        return f'COMPREPLY=($(compgen -W "{" ".join(option.values)}" -- "$word")); '
    return 'compopt -o filenames; COMPREPLY=($(compgen -f -- "$word")); ' if option.takes == "file" else ""


def _zsh(commands: list[Offer]) -> str:
    def quoted(text: str) -> str:
        return text.replace("'", "'\\''").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")

    cases = []
    for offer in commands:
        lines = []
        for option in offer.options:
            value = ""
            if option.takes:
                value = (
                    f":value:({' '.join(option.values)})"
                    if option.values
                    else ":folder:_files"
                    if option.takes == "file"
                    else ":value: "
                )
            lines += [f"'*{flag}[{quoted(option.help)}]{value}'" for flag in option.flags]
        if offer.files:
            lines.append("'*:path:_files'")
        elif offer.words:
            lines.append(f"'*:what:({' '.join(offer.words)})'")
        arguments = " \\\n                ".join(lines)
        cases.append(f"        {offer.name})\n            _arguments -S {arguments} ;;")
    names = "\n        ".join(f"'{offer.name}:{quoted(offer.help)}'" for offer in commands)
    body = "\n".join(cases)
    return f"""#compdef codequarry
_codequarry() {{
    local -a commands
    local state line
    commands=(
        {names}
    )
    _arguments -C '--store[the index]:folder:_files' '--model[the embedding model]:name: ' \\
        '--color[colours]:when:(auto always never)' \\
        '--version[print the version]' '--help[print help]' '1:command:->command' '*::argument:->argument'
    case $state in
    command) _describe command commands ;;
    argument)
        case $words[1] in
{body}
        esac ;;
    esac
}}
if [ "$funcstack[1]" = "_codequarry" ]; then _codequarry "$@"; else compdef _codequarry codequarry; fi
"""


def _fish(commands: list[Offer]) -> str:
    def quoted(text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    names = " ".join(offer.name for offer in commands)
    lines = [
        "# fish completion for codequarry",
        "complete -c codequarry -f",
        f"complete -c codequarry -n 'not __fish_seen_subcommand_from {names}' -l version -d 'print the version'",
    ]
    for offer in commands:
        lines.append(
            f"complete -c codequarry -n 'not __fish_seen_subcommand_from {names}' -a {offer.name} -d {quoted(offer.help)}"
        )
    for offer in commands:
        seen = f"complete -c codequarry -n '__fish_seen_subcommand_from {offer.name}'"
        for option in offer.options:
            flags = " ".join(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags)
            takes = (
                ""
                if not option.takes
                else f" -x -a {quoted(' '.join(option.values))}"
                if option.values
                else " -r -F"
                if option.takes == "file"
                else " -x"
            )
            lines.append(f"{seen} {flags}{takes} -d {quoted(option.help)}")
        if offer.files:
            lines.append(f"{seen} -F")
        elif offer.words:
            lines.append(f"{seen} -a {quoted(' '.join(offer.words))}")
    return "\n".join(lines) + "\n"
