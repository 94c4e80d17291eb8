"""Credentials of private repositories, by reference: what is registered, stored and shown is a name, never the secret.

A credential is one line as git's own credential store writes it, `https://USER:TOKEN@HOST`, in the environment variable
`CODEQUARRY_CREDENTIAL_<NAME>` or in the file `credentials/<NAME>` of the data folder, which nobody else may read. The host in it is
the only one that it is ever sent to, so whoever may register repositories cannot have it sent elsewhere. It reaches git through
the environment of one process, not its arguments.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from typing import TYPE_CHECKING

from codequarry.errors import BadInput
from codequarry.ingest.git import Credential

if TYPE_CHECKING:
    from codequarry.ingest.addresses import Address
    from codequarry.settings import Settings

VARIABLE = "CODEQUARRY_CREDENTIAL_"
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,98}[A-Za-z0-9])?")


def find(name: str, address: Address, settings: Settings, env: Mapping[str, str] | None = None) -> Credential | None:
    """The credential of that name for an address, None for no name. Read anew each time, so it can be exchanged.

    Raises:
        BadInput: there is none, it cannot be read, or it is for another host. No message has any of it.
    """
    if not name:
        return None
    if not _NAME.fullmatch(name):
        raise BadInput("a credential's name has letters, digits and . _ - only", hint="name one that the service has")
    line = _line(name, settings, os.environ if env is None else env).strip()
    from codequarry.ingest.addresses import parse_address

    try:
        given = parse_address(f"{line.rstrip('/')}/any")
    except BadInput:  # its message may show what is no credential of ours to show
        given = None
    if given is None or given.credential is None:
        raise BadInput(
            f"the credential {name} cannot be read", hint="write it as one line, https://USER:TOKEN@HOST, %-encoded"
        )
    wanted = (address.scheme, address.host, address.port)
    if (given.scheme, given.host, given.port) != wanted:
        raise BadInput(
            f"the credential {name} is for {given.scheme}://{given.host}, and the repository is at "
            f"{address.scheme}://{address.host}",
            hint="name another one, or none",
        )
    return given.credential


def _line(name: str, settings: Settings, env: Mapping[str, str]) -> str:
    variable = VARIABLE + re.sub(r"[^A-Z0-9]", "_", name.upper())
    if line := env.get(variable, ""):
        return line
    file = settings.data_dir / "credentials" / name
    try:
        with file.open(encoding="utf-8") as stream:
            if stat.S_IMODE(os.fstat(stream.fileno()).st_mode) & 0o077:
                raise BadInput(f"the file of the credential {name} can be read by others", hint=f"chmod 600 {file}")
            return stream.readline(4096)
    except (OSError, UnicodeDecodeError):
        raise BadInput(
            f"there is no credential {name}",
            hint=f"set {variable}, or write {file}: https://USER:TOKEN@HOST",
        ) from None
