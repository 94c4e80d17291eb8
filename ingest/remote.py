"""What a forge says of a repository without sending it: its branches, and which of them is the default one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codequarry.errors import BadInput, GitError
from codequarry.ingest.addresses import Address, check_allowed, parse_address
from codequarry.ingest.git import Credential, Git, Profile
from codequarry.text import glob_regex

if TYPE_CHECKING:
    from codequarry.ingest.network import Rules


@dataclass(frozen=True, slots=True)
class Heads:
    """The branches of a repository as its forge has them: name to commit. `default`: "" where HEAD names none of them."""

    default: str
    branches: Mapping[str, str]


def address_of(url: str, profile: Profile) -> Address:
    """The address in `url`; of a folder, where the profile reads those, its file address.

    Raises:
        BadInput: it is none, or the profile may not use it.
    """
    address = parse_address(url)
    if address is None:
        if profile == "server":
            raise BadInput("A server indexes addresses only, not folders.", hint="Give an https or ssh address.")
        from pathlib import Path

        address = parse_address(Path(url).expanduser().resolve().as_uri())
        assert address is not None
    check_allowed(address, profile)
    return address


def look(url: str, profile: Profile, credential: Credential | None = None, rules: Rules | None = None) -> Heads:
    """Asks the forge for the branches. `rules`: which hosts a server may ask; None: every public one.

    Raises:
        BadInput: the address cannot be used, or its host may not be asked.
        GitError: no answer; `trouble` says what it means.
    """
    address = address_of(url, profile)
    said = (
        Git(profile, rules)
        .reaching(address.scheme, address.host)
        .run(
            ("ls-remote", "--symref", "--", address.url, "HEAD", "refs/heads/*"),
            credential=credential or address.credential,
            network=True,
        )
    )
    named, commit, branches = "", "", {}
    for line in said.decode("utf-8", "surrogateescape").split("\n"):
        what, _, ref = line.partition("\t")
        if ref == "HEAD":
            named = what.removeprefix("ref: ") if what.startswith("ref: ") else named
            commit = what if re.fullmatch(r"[0-9a-f]{40,64}", what) else commit
        elif ref.startswith("refs/heads/") and re.fullmatch(r"[0-9a-f]{40,64}", what):
            branches[ref.removeprefix("refs/heads/")] = what
    default = named.removeprefix("refs/heads/")
    if default not in branches:  # an old server only gives HEAD's commit
        same = [branch for branch, at in branches.items() if at == commit]
        default = next((branch for branch in ("main", "master") if branch in same), same[0] if same else "")
    return Heads(default, branches)


def is_wanted(branch: str, wanted: Sequence[str], default: str) -> bool:
    """Whether a branch is one of those that are wanted: names or globs; HEAD, or none at all, for the default branch."""
    if branch == default and (not wanted or "HEAD" in wanted):
        return True
    # From the beginning of the name: "release-*" is not to match "me/release-old".
    globs = [glob_regex(f"/{glob}") for glob in wanted if re.search(r"[*?\[{]", glob)]
    return branch in wanted or any(re.fullmatch(glob, branch) for glob in globs)


def trouble(error: GitError) -> str:
    """What a failure to reach a repository means: `denied`, `gone`, or "" for what has another reason."""
    says = error.message
    if re.search(
        r"could not read (username|password)|authentication failed|permission denied \(|access denied|error: 40[13]",
        says,
        re.IGNORECASE,
    ):
        return "denied"
    if re.search(r"not found|does not appear to be a git repository|error: 404|does not exist", says, re.IGNORECASE):
        return "gone"
    return ""
