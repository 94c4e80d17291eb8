"""Credentials of private repositories, by reference: what is registered, stored and shown is a name, never the secret.

A credential is one line in the environment variable `CODEQUARRY_CREDENTIAL_<NAME>`, or in the file `credentials/<NAME>` of the data
folder, which nobody else may read:

    https://USER:TOKEN@HOST             as git's own credential store writes it, %-encoded
    github-app://ID@HOST/PATH/OF/KEY    a GitHub App, by its client id, and where its private key (PEM) lies
    ssh://HOST/PATH/OF/KEY              where a private key for ssh lies; a file `known_hosts` beside it has the host's key

The host in it is the only one that it is ever sent to, so whoever may register repositories cannot have it sent elsewhere. What git
needs of it goes through the environment of one process, not its arguments; keys stay in their files.
"""

from __future__ import annotations

import os
import re
import stat
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from codequarry.errors import BadInput
from codequarry.ingest.git import Credential

if TYPE_CHECKING:
    from codequarry.ingest.addresses import Address
    from codequarry.settings import Settings

VARIABLE = "CODEQUARRY_CREDENTIAL_"
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,98}[A-Za-z0-9])?")
_KEY_LINE = re.compile(
    r"(?P<kind>github-app|github-app\+http|ssh)://(?:(?P<id>[A-Za-z0-9._-]+)@)?(?P<site>[A-Za-z0-9._:-]+)(?P<path>/.+)"
)
_KEY_PATH = re.compile(r"(/[A-Za-z0-9_.+-]+)+")  # one that neither a shell nor ssh reads as anything else
_MOST_KEY_BYTES = 64 << 10
_WRITTEN = (
    "write it as one line: https://USER:TOKEN@HOST, github-app://ID@HOST/PATH/OF/KEY.pem or ssh://HOST/PATH/OF/KEY"
)


def find(name: str, address: Address, settings: Settings, env: Mapping[str, str] | None = None) -> Credential | None:
    """The credential of that name for an address, None for no name. Read anew each time, so it can be exchanged.

    Raises:
        BadInput: there is none, it cannot be read, or it is for another host. No message has any of it.
        NotFound, Denied, Upstream: of a GitHub App: the forge gives it no token.
    """
    if not name:
        return None
    if not _NAME.fullmatch(name):
        raise BadInput("a credential's name has letters, digits and . _ - only", hint="name one that the service has")
    line = _line(name, settings, os.environ if env is None else env).strip()
    key = _key_of(name, line)
    where = line if key is None else f"{key.scheme}://{key.site}"
    from codequarry.ingest.addresses import parse_address

    try:
        given = parse_address(f"{where.rstrip('/')}/any")
    except BadInput:  # its message may show what is no credential of ours to show
        given = None
    if given is None or (key is None and given.credential is None):
        raise BadInput(f"the credential {name} cannot be read", hint=_WRITTEN)
    wanted = (address.scheme, address.host, address.port)
    if (given.scheme, given.host, given.port) != wanted:
        raise BadInput(
            f"the credential {name} is for {given.scheme}://{given.host}, and the repository is at "
            f"{address.scheme}://{address.host}",
            hint="name another one, or none",
        )
    if key is None:
        return given.credential
    return _ssh(name, key) if key.scheme == "ssh" else _of_app(name, key, address)


def forget_tokens() -> None:
    """Tokens that were given to this process are asked for anew: one of them was refused."""
    from codequarry.ingest.github_app import TOKENS

    TOKENS.forget()


class _Key(NamedTuple):
    scheme: str  # of the addresses that it is for
    site: str
    id: str
    path: str


def _key_of(name: str, line: str) -> _Key | None:
    """What a line that names a key says, None for every other line."""
    match = _KEY_LINE.fullmatch(line)
    if match is None:
        return None
    if not _KEY_PATH.fullmatch(match["path"]):
        raise BadInput(
            f"the credential {name} names a key at a path that cannot be used",
            hint="an absolute path of letters, digits and . _ + -",
        )
    scheme = {"ssh": "ssh", "github-app": "https"}.get(match["kind"], "http")
    if scheme != "ssh" and not match["id"]:
        raise BadInput(f"the credential {name} does not say which app it is", hint=_WRITTEN)
    return _Key(scheme, match["site"], match["id"] or "", match["path"])


def _ssh(name: str, key: _Key) -> Credential:
    _owned(name, key.path)
    known = Path(key.path).with_name("known_hosts")
    return Credential(f"ssh://{key.site}", "", None, key.path, str(known) if known.is_file() else None)


def _of_app(name: str, key: _Key, address: Address) -> Credential:
    """A token of the app, as git is given it."""
    from codequarry.ingest.github_app import TOKENS, App

    path = urllib.parse.unquote(urllib.parse.urlsplit(address.url).path).strip("/").removesuffix(".git")
    if path.count("/") != 1:
        raise BadInput(
            f"the credential {name} is a GitHub App, and {path} is no owner and name", hint="name another one"
        )
    site = f"{key.scheme}://{key.site}"
    token = TOKENS.token(App(site, key.id), path, lambda: _owned(name, key.path))
    return Credential(site, "x-access-token", token)


def _line(name: str, settings: Settings, env: Mapping[str, str]) -> str:
    variable = VARIABLE + re.sub(r"[^A-Z0-9]", "_", name.upper())
    if line := env.get(variable, ""):
        return line
    file = settings.data_dir / "credentials" / name
    try:
        return _private(name, file).partition("\n")[0]
    except (OSError, UnicodeDecodeError):
        raise BadInput(f"there is no credential {name}", hint=f"set {variable}, or {file}; {_WRITTEN}") from None


def _owned(name: str, path: str) -> str:
    """The text of a key's file."""
    try:
        return _private(name, Path(path))
    except (OSError, UnicodeDecodeError):
        raise BadInput(f"the key of the credential {name} cannot be read", hint=f"is {path} there, and ours?") from None


def _private(name: str, file: Path) -> str:
    with file.open(encoding="utf-8") as stream:
        if stat.S_IMODE(os.fstat(stream.fileno()).st_mode) & 0o077:
            raise BadInput(f"a file of the credential {name} can be read by others", hint=f"chmod 600 {file}")
        return stream.read(_MOST_KEY_BYTES)
