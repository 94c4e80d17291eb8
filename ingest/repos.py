"""What a person names, a folder, a repository or its address, becomes the trees that are indexed.

A repository's identity is host and full path (`github.com/org/api`), so two that are both called `api` never meet. A clone on
disk has the identity of its `origin`; what has none is `local` and its absolute path.

    address                       the branches asked for, or the default one, from a bare mirror with one commit a branch
    work tree                     the folder as it stands on disk
    work tree or bare, --branch   the branches from the repository's own objects; the disk is not looked at
    bare repository               the branch that its HEAD names, from its objects
    plain folder                  the folder as it stands on disk
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from codequarry.errors import BadInput, GitError
from codequarry.ingest.addresses import Address, check_allowed, parse_address
from codequarry.ingest.commits import Commit
from codequarry.ingest.files import Entry, FileOptions, Reader, Tree
from codequarry.ingest.git import Credential, Git, Profile
from codequarry.ingest.mirrors import fetch
from codequarry.ingest.objects import Found, ObjectReader, check_branch, find_branches
from codequarry.ingest.worktree import Folder, list_folder
from codequarry.types import Source

if TYPE_CHECKING:
    from codequarry.ingest.network import Rules

__all__ = ["Address", "Entry", "FileOptions", "ObjectReader", "Profile", "Reader", "Tree", "parse_address", "trees"]


def trees(
    spec: str,
    *,
    branches: Sequence[str] = (),
    name: str | None = None,
    mirrors: Path,
    profile: Profile = "local",
    options: FileOptions | None = None,
    hints: Callable[[Source], bytes] = lambda _: b"",
    progress: Callable[[str], None] | None = None,
    credential: Credential | None = None,
    rules: Rules | None = None,
) -> list[Tree]:
    """What `spec` names, as it is now: one tree a branch, or one for the folder.

    Args:
        spec: a path, or an address of git (https, ssh, `user@host:path`, file).
        branches: read these from objects instead of the default one, or of the folder on disk. Tags are taken too.
        name: the identity to use in place of the one that follows from `spec`.
        mirrors: folder in which repositories named by address are kept.
        profile: what git may do; `server` takes https and ssh addresses alone.
        options: which files count.
        hints: what the listing left that the index shows of a source; of a branch then only what differs is listed (`Tree.since`).
        progress: told what git says while it fetches, and about once a second while it says nothing; what it raises ends it.
        credential: given to git for its site, in place of what stands in an address.
        rules: which hosts a server may ask; None: every public one.

    Raises:
        BadInput: `spec`, `name` or a branch is not what it should be; the message says what to do.
        GitError: git is missing or failed; `retryable` when the network was the reason.
    """
    options = options or FileOptions()
    git = Git(profile, rules)
    if name is not None:
        _check_name(name)
    for branch in branches:
        check_branch(branch, git)
    address = parse_address(spec)
    if address is not None:
        check_allowed(address, profile)
        address = address._replace(credential=credential or address.credential)
        found = fetch(address, branches, git, mirrors, progress)
    elif profile == "server":
        raise BadInput("A server indexes addresses only, not folders.", hint="Give an https or ssh address.")
    else:
        here = _located(spec, git)
        if isinstance(here, _OnDisk) and not branches:
            source = Source(name or here.identity, f"worktree:{here.folder.path}")
            tree = list_folder(
                here.folder,
                git,
                source=source,
                origin=here.folder.path,
                web=here.web,
                options=options,
                hints=hints(source),
            )
            tree.note = here.note
            return [tree]
        found = _in_place(here, branches, git)
    listed = []
    for branch, commit in found.commits:
        source = Source(name or found.identity, branch)
        listed.append(Commit(found, source, commit, git, options, hints(source)).tree())
    return listed


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[^\W_][^\x00-\x1f\x7f@]{0,299}", name) or ".." in name.split("/") or name.strip("/ ") != name:
        raise BadInput(
            f"{name[:80]!r} cannot be a repository's name.",
            hint="Use letters, digits and / . _ -, such as github.com/org/api.",
        )


class _OnDisk(NamedTuple):
    """A folder to be read as it is: a work tree or a plain one."""

    folder: Folder
    identity: str
    origin: str
    web: str
    note: str = ""


class _Bare(NamedTuple):
    """A repository without a work tree."""

    git_dir: str
    identity: str
    web: str
    width: int


def _located(spec: str, git: Git) -> _OnDisk | _Bare:
    path = os.path.realpath(os.path.expanduser(spec))  # noqa: PTH111 - leaves an unknown ~name as it is
    if not Path(path).is_dir():
        raise _no_folder(spec, path)
    if not os.access(path, os.R_OK | os.X_OK):
        raise BadInput(f"{spec!r} may not be read.", hint="Check the permissions of the folder.")
    plain = _OnDisk(Folder(path), f"local{path}", path, "")
    try:
        said = git.run(
            (
                "rev-parse",
                "--path-format=absolute",
                "--is-inside-work-tree",
                "--show-object-format",
                "--git-dir",
                "--git-common-dir",
                "--show-cdup",
            ),
            cwd=path,
        )
    except GitError as error:
        if "not a git repository" in error.message:
            return plain
        raise
    inside, form, git_dir, common, *rest = said.decode("utf-8", "surrogateescape").split("\n")
    if len(rest) != (2 if inside == "true" else 1):
        raise BadInput(
            f"{spec!r}: the path of the repository holds a line break.", hint="Move or link it to another path."
        )
    width = 32 if form == "sha256" else 20
    settings = _settings(git, path)
    if inside != "true":
        identity, web = _identity(settings, common, git_dir)
        return _Bare(common, identity, web, width)
    top, note = os.path.realpath(os.path.join(path, rest[0])), ""
    if path != top:
        inner = os.path.relpath(path, top)
        with contextlib.closing(
            git.records(("--literal-pathspecs", "ls-files", "-z", "--", inner), cwd=top)
        ) as tracked:
            if next(tracked, None) is None:
                return plain  # the repository knows nothing of it, so it is a folder of its own
        note = f"{inner} is part of the work tree {top}, which is indexed as a whole; search in it with path:{inner}/"
    identity, web = _identity(settings, top, top)
    excludes = settings.get("core.excludesfile") or os.path.join(
        os.environ.get("XDG_CONFIG_HOME") or "~/.config", "git", "ignore"
    )
    excludes = os.path.expanduser(excludes)  # noqa: PTH111 - the same
    return _OnDisk(Folder(top, git_dir, common, width, excludes), identity, top, web, note)


def _no_folder(spec: str, path: str) -> BadInput:
    if os.path.lexists(path):
        return BadInput(f"{spec!r} is no folder.", hint="Name the folder or the repository that holds it.")
    if re.fullmatch(r"[\w-]+(\.[\w-]+)*\.[A-Za-z]{2,}(/[\w.~-]+){2,}/?", spec):
        return BadInput(f"There is no folder {spec!r}.", hint=f"For the repository on its host write https://{spec}.")
    above, last = os.path.split(path)
    with contextlib.suppress(OSError):
        if near := difflib.get_close_matches(last, [there.name for there in Path(above).iterdir()], 1):
            return BadInput(
                f"There is no folder {spec!r}.", hint=f"Did you mean {str(Path(spec).with_name(near[0]))!r}?"
            )
    return BadInput(
        f"There is no folder {spec!r}.", hint="Check the path, or give an address like https://host/org/name."
    )


def _settings(git: Git, cwd: str) -> dict[str, str]:
    """The few settings that matter, by name in lower case; of `url.*.insteadof` the base by what it stands for."""
    pattern = r"^(remote\.origin\.url|core\.excludesfile|url\..*\.insteadof)$"
    said = git.run(("config", "-z", "--get-regexp", pattern), cwd=cwd, ok=(0, 1)).decode("utf-8", "surrogateescape")
    settings: dict[str, str] = {}
    for item in said.split("\0")[:-1]:
        key, _, value = item.partition("\n")
        if key.startswith("url."):
            settings[f"insteadof {value}"] = key.removeprefix("url.").removesuffix(".insteadof")
        else:
            settings[key] = value
    return settings


def _identity(settings: dict[str, str], own: str, beside: str) -> tuple[str, str]:
    """Identity and web address of a repository on disk: those of its origin, else `local` and its own path."""
    url = settings.get("remote.origin.url", "")
    short = max(
        (key[10:] for key in settings if key.startswith("insteadof ") and url.startswith(key[10:])),
        key=len,
        default=None,
    )
    if short is not None:
        url = settings[f"insteadof {short}"] + url[len(short) :]
    if url:
        with contextlib.suppress(BadInput):
            address = parse_address(url)
            if address is not None:
                return address.identity, address.web
            return f"local{os.path.realpath(os.path.join(beside, url))}", ""
    return f"local{own}", ""


def _in_place(here: _OnDisk | _Bare, branches: Sequence[str], git: Git) -> Found:
    """The branches of a repository on this machine, from its own objects."""
    if isinstance(here, _Bare):
        git_dir = origin = here.git_dir
    else:
        git_dir, origin = here.folder.common_dir, here.folder.path
        if here.folder.git_dir is None:
            raise BadInput(
                f"{origin} is not a git repository, so it has no branches.",
                hint="Leave out --branch to index the folder.",
            )
    return find_branches(git_dir, branches, git, identity=here.identity, origin=origin, web=here.web)
