"""Bare mirrors of repositories that are named by address: the last commit of each branch that is wanted, and nothing else."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

from codequarry.errors import BadInput
from codequarry.ingest.addresses import Address
from codequarry.ingest.git import Git
from codequarry.ingest.objects import Found, no_branch, no_commits, resolve, short_name, some


def fetch(
    address: Address, branches: Sequence[str], git: Git, mirrors: Path, progress: Callable[[str], None] | None
) -> Found:
    """Brings the mirror up to date: the tip of each branch that is wanted, and nothing else."""
    git = git.reaching(address.scheme, address.host)
    wanted = _remote_commits(address, branches, git)
    mirror = mirrors / _folder_of(address.identity)
    git_dir = str(mirror)
    commits = []
    with _locked(mirror):
        _prepare(mirror, 32 if len(wanted[0][1]) == 64 else 20, git)
        missing = [ref for ref, oid in wanted if resolve(git, git_dir, ref + "^{}") != oid]
        if missing:
            command = ["fetch", "--depth=1", "--update-shallow", "--no-tags", "--no-write-fetch-head"]
            command += ["--no-recurse-submodules", "--progress" if progress else "--quiet"]
            command += ["--", address.url, *(f"+{ref}:{ref}" for ref in missing)]
            git.run(command, git_dir=git_dir, credential=address.credential, progress=progress, network=True)
            _tidy(mirror, git)
        for ref, _ in wanted:
            commit = resolve(git, git_dir, ref + "^{commit}")
            if commit is None:
                raise BadInput(f"{address.identity}: {ref} is no commit.", hint="Name a branch with --branch.")
            commits.append((short_name(ref), commit))
    return Found(git_dir, address.identity, address.url, address.web, commits)


def _folder_of(identity: str) -> str:
    """One folder for each identity: readable, and told apart by a hash."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", identity)[-80:].strip("-.")
    return f"{readable}-{blake2b(identity.encode('utf-8', 'surrogateescape'), digest_size=8).hexdigest()}.git"


def _remote_commits(address: Address, branches: Sequence[str], git: Git) -> list[tuple[str, str]]:
    """Full name and object id (of what a tag points to) of each wanted ref, as the remote has them now."""

    def ask(*patterns: str, options: Sequence[str] = ()) -> dict[str, str]:
        said = git.run(
            ("ls-remote", *options, "--", address.url, *patterns), credential=address.credential, network=True
        )
        lines = (line.split("\t") for line in said.decode("utf-8", "surrogateescape").split("\n"))
        return {parts[1]: parts[0] for parts in lines if len(parts) == 2}

    if not branches:
        # Two lines may be called HEAD: what it names, and its commit. The last one wins, so they are asked for in turn.
        said = git.run(
            ("ls-remote", "--symref", "--", address.url, "HEAD"), credential=address.credential, network=True
        ).decode()
        named = re.search(r"^ref: (refs/heads/\S+)\tHEAD$", said, re.MULTILINE)
        oid = re.search(r"^([0-9a-f]{40,64})\tHEAD$", said, re.MULTILINE)
        if named and oid:
            return [(named[1], oid[1])]
        heads = ask(options=("--heads",))
        if not heads:
            raise no_commits(address.identity)
        same = [ref for ref, at in heads.items() if oid and at == oid[1]]
        if not same:
            there = [short_name(ref) for ref in heads]
            raise BadInput(
                f"{address.identity} names no default branch.", hint=f"Say which with --branch: {some(there)}"
            )
        usual = [ref for ref in ("refs/heads/main", "refs/heads/master") if ref in same]
        return [((usual or same)[0], heads[(usual or same)[0]])]
    wanted = []
    for branch in dict.fromkeys(branches):
        refs = [branch] if branch.startswith("refs/") else [f"refs/heads/{branch}", f"refs/tags/{branch}"]
        answer = ask(*refs, *(f"{ref}^{{}}" for ref in refs))
        ref = next((ref for ref in refs if ref in answer), None)
        if ref is None:
            raise no_branch(
                branch,
                address.identity,
                [short_name(known) for known in ask(options=("--heads", "--tags")) if "^" not in known],
            )
        wanted.append((ref, answer.get(f"{ref}^{{}}", answer[ref])))
    return wanted


@contextlib.contextmanager
def _locked(mirror: Path) -> Iterator[None]:
    """Only one process changes a mirror at a time; the others wait."""
    import fcntl

    mirror.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{mirror}.lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _prepare(mirror: Path, width: int, git: Git) -> None:
    """Makes the mirror where there is none, and removes what a fetch that was killed has left: we alone write there."""
    import shutil
    import tempfile

    if not mirror.exists():
        with tempfile.TemporaryDirectory(dir=mirror.parent, prefix="new-") as beside:
            made = Path(beside) / "mirror"
            form = "sha256" if width == 32 else "sha1"
            git.run(("init", "--bare", "--quiet", "--template=", f"--object-format={form}", "--", str(made)))
            shutil.move(made, mirror)
        return
    for left in [*mirror.glob("*.lock"), *mirror.glob("refs/**/*.lock"), *mirror.glob("objects/pack/tmp_*")]:
        left.unlink(missing_ok=True)


def _tidy(mirror: Path, git: Git) -> None:
    """Each fetch leaves a pack: from time to time they become one, without what no branch shows any more."""
    if len(list(mirror.glob("objects/pack/*.pack"))) > 40:
        git.run(("gc", "--quiet", "--prune=1.hour.ago"), git_dir=str(mirror))


def remove(identity: str, mirrors: Path) -> None:
    """Removes the mirror of a repository, if there is one."""
    import shutil

    mirror = mirrors / _folder_of(identity)
    if mirror.exists():
        with _locked(mirror):
            shutil.rmtree(mirror, ignore_errors=True)
