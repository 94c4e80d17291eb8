"""What git says when it fails: the error in a few lines without secrets, with what helps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from codequarry.errors import GitError

if TYPE_CHECKING:
    from codequarry.ingest.git import Credential

# What git says, the hint that helps, and whether waiting may help.
_KNOWN: tuple[tuple[str, str, bool], ...] = (
    (
        r"dubious ownership|unsafe repository",
        "The folder belongs to another user. If you trust it: git config --global --add safe.directory FOLDER",
        False,
    ),
    (
        r"could not read (username|password)|authentication failed|permission denied \(|access denied|error: 40[13]",
        "Git was not let in. Set up a credential helper or an ssh key with which `git ls-remote ADDRESS` works.",
        False,
    ),
    (
        r"host key verification failed",
        "The host is not known to ssh. Connect to it once by hand, and check its key.",
        False,
    ),
    (
        r"certificate (verification|problem|subject)",
        "Git does not trust the host's certificate. For an authority of your own set GIT_SSL_CAINFO to a file that has it.",
        False,
    ),
    (
        r"repository .*not found|does not appear to be a git repository|error: 404|does not exist",
        "Check the address.",
        False,
    ),
    (r"transport .* not allowed|protocol .* not (allowed|supported)", "Use an https or ssh address.", False),
    (
        r"\bfsck\b|fullpathname|hasdotgit|bad(timezone|email|date|name)",
        "The objects were refused by git's own check (transfer.fsckObjects).",
        False,
    ),
    (
        r"does not support shallow",
        "The server is a plain file server without git's protocol. Clone it by hand, then index the clone.",
        False,
    ),
    (r"no space left", "The disk is full.", True),
    (
        r"could ?n.t resolve|could not resolve|connection (timed out|refused|reset)|failed to connect|could ?n.t connect"
        r"|early eof|hung up|error: 5\d\d|operation too slow|temporary failure|network is unreachable|remote end",
        "The host cannot be reached now. Check the address and the network, then try again.",
        True,
    ),
)


def failure(
    arguments: Sequence[str | bytes], status: int, said: bytes, credential: Credential | None = None
) -> GitError:
    """The error for a git that ended with `status`, in a few lines without secrets."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", decoded(said)) if line.strip()]
    telling = [line for line in lines if re.match(r"(fatal|error|remote|ssh|ERROR)\b", line)] or lines
    text = scrub("; ".join(telling[-3:]))[:600] or f"it ended with status {status}"
    for secret in (credential.password, credential.username) if credential else ():
        if secret and len(secret) >= 6:
            text = text.replace(secret, "***")
    hint, retryable = next(
        ((hint, later) for pattern, hint, later in _KNOWN if re.search(pattern, decoded(said), re.IGNORECASE)),
        ("", False),
    )
    return GitError(f"git {subcommand(arguments)}: {text}", hint=hint, retryable=retryable)


def subcommand(arguments: Sequence[str | bytes]) -> str:
    """The first word that is no option: `fetch`."""
    return next((word for word in arguments if isinstance(word, str) and not word.startswith("-")), "")


def decoded(data: bytes) -> str:
    """What git printed, bytes that are no UTF-8 kept."""
    return data.decode("utf-8", "surrogateescape")


def scrub(text: str) -> str:
    """The text without what stands between `://` and `@`: for messages and logs."""
    # Only ASCII's blanks end an address: in a password there may be any other sign.
    return re.sub(r"://[^/@\s]*(?:@[^/@\s]*)*@", "://***@", text, flags=re.ASCII)
