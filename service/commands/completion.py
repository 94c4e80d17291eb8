"""`codequarry completion`: the completion script of a shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from codequarry.service.terminal import Terminal

DESCRIPTION = """Prints a script that makes a shell complete codequarry's commands, options and their values."""

EXAMPLES = """  codequarry completion bash > ~/.local/share/bash-completion/completions/codequarry
  codequarry completion zsh > ~/.zfunc/_codequarry     # ~/.zfunc must be in fpath, before compinit
  codequarry completion fish > ~/.config/fish/completions/codequarry.fish"""


def arguments(parser: ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell")


def run(args: Namespace, terminal: Terminal) -> int:
    """Prints the script."""
    from codequarry.service.completion import script

    terminal.write(script(args.shell))
    return 0
