"""Repositories read from git's objects, without a work tree: which branches there are, and the bytes of files."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from codequarry.errors import BadInput
from codequarry.ingest.files import Entry
from codequarry.ingest.git import Git


@dataclass(frozen=True, slots=True)
class Found:
    """A repository whose objects are read, and which commits."""

    git_dir: str
    identity: str
    origin: str
    web: str
    commits: list[tuple[str, str]]  # branch, commit


def check_branch(branch: str, git: Git) -> None:
    """Whether this can be a branch or tag, also in full (`refs/heads/…`, `refs/tags/…`).

    Raises:
        BadInput: it cannot.
    """
    ref = branch if branch.startswith(("refs/heads/", "refs/tags/")) else f"refs/heads/{branch}"
    bad = not branch or "\0" in branch or (branch.startswith(("-", "refs/")) and ref != branch)
    if bad or git.text(("check-ref-format", ref)) is None:
        raise BadInput(f"{branch[:200]!r} cannot be the name of a branch.", hint="Name it as `git branch` shows it.")


def find_branches(git_dir: str, branches: Sequence[str], git: Git, *, identity: str, origin: str, web: str) -> Found:
    """The commits of these branches or tags, or of the branch that HEAD names, in a repository on this machine.

    Raises:
        BadInput: there is no such branch, or no commit at all.
    """
    if not branches:
        branches = [_head_of(git_dir, origin, git)]
    commits = []
    for branch in dict.fromkeys(branches):
        for ref in _refs_for(branch):
            if commit := resolve(git, git_dir, ref + "^{commit}"):
                commits.append((short_name(branch), commit))
                break
        else:
            raise no_branch(branch, origin, _branches_of(git_dir, git))
    return Found(git_dir, identity, origin, web, commits)


def _refs_for(branch: str) -> list[str]:
    if branch.startswith("refs/"):
        return [branch]
    return [f"refs/heads/{branch}", f"refs/remotes/origin/{branch}", f"refs/tags/{branch}"]


def resolve(git: Git, git_dir: str, revision: str) -> str | None:
    """The object id of a revision, None when there is none."""
    return git.text(("rev-parse", "--verify", "--quiet", "--end-of-options", revision), git_dir=git_dir)


def short_name(branch: str) -> str:
    """A branch or tag without what stands before its name."""
    return branch.removeprefix("refs/heads/").removeprefix("refs/tags/")


def _branches_of(git_dir: str, git: Git) -> list[str]:
    said = git.text(
        ("for-each-ref", "--count=5000", "--format=%(refname)", "refs/heads", "refs/remotes/origin", "refs/tags"),
        git_dir=git_dir,
    )
    names = [ref.split("/", 3 if ref.startswith("refs/remotes/") else 2)[-1] for ref in (said or "").split("\n") if ref]
    return sorted(set(names) - {"HEAD"})


def _head_of(git_dir: str, origin: str, git: Git) -> str:
    branch = git.text(("symbolic-ref", "--quiet", "HEAD"), git_dir=git_dir)
    if branch and resolve(git, git_dir, branch + "^{commit}"):
        return branch
    there = _branches_of(git_dir, git)
    if not there:
        raise no_commits(origin)
    raise BadInput(f"{origin}: its HEAD names no branch that exists.", hint=f"Say which with --branch: {some(there)}")


def no_commits(where: str) -> BadInput:
    """The error for a repository without commits."""
    return BadInput(
        f"{where} has no commits yet.",
        hint="Commit something; a work tree can be indexed without --branch before that.",
    )


def no_branch(branch: str, where: str, there: Sequence[str]) -> BadInput:
    """The error for a branch that is not among those that are `there`."""
    if not there:
        return no_commits(where)
    near = difflib.get_close_matches(branch, there, 1, 0.5)
    return BadInput(
        f"{where} has no branch or tag {branch!r}.",
        hint=f"Did you mean {near[0]!r}?" if near else f"There are: {some(there)}",
    )


def some(names: Sequence[str]) -> str:
    """A few of the names, and how many more."""
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


@dataclass(frozen=True, slots=True)
class ObjectReader:
    """Reads files from a repository's objects. Can be pickled."""

    git_dir: str
    git: Git

    def read(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, bytes | None]]:
        """As `files.Reader` promises; the entries come back as they are."""
        asked = list(entries)
        yield from zip(asked, self.git.blobs(self.git_dir, (entry.blob for entry in asked)), strict=True)
