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
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from codequarry.errors import BadInput, GitError
from codequarry.ingest import hints as kept
from codequarry.ingest.files import RULE_FILES, Entry, FileOptions, Reader, Tree, Verdicts, nameable, sift
from codequarry.ingest.git import Credential, Git, Profile, scrub
from codequarry.ingest.worktree import Folder, list_folder
from codequarry.types import Skipped, Source

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
) -> list[Tree]:
    """What `spec` names, as it is now: one tree a branch, or one for the folder.

    Args:
        spec: a path, or an address of git (https, ssh, `user@host:path`, file).
        branches: read these from objects instead of the default one, or of the folder on disk. Tags are taken too.
        name: the identity to use in place of the one that follows from `spec`.
        mirrors: folder in which repositories named by address are kept.
        profile: what git may do; `server` takes https and ssh addresses alone.
        options: which files count.
        hints: what the listing of a source left the last time.
        progress: told what git says while it fetches.

    Raises:
        BadInput: `spec`, `name` or a branch is not what it should be; the message says what to do.
        GitError: git is missing or failed; `retryable` when the network was the reason.
    """
    options = options or FileOptions()
    git = Git(profile)
    if name is not None:
        _check_name(name)
    for branch in branches:
        _check_branch(branch, git)
    address = parse_address(spec)
    if address is not None:
        _check_allowed(address, profile)
        found = _fetched(address, branches, git, mirrors, progress)
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
        listed.append(_objects(found, source, commit, git, options, hints(source)))
    return listed


# ------------------------------------------------------------------------------------------------------------- identities


class Address(NamedTuple):
    """An address of git, taken apart. `url` holds no credentials and is what git is given."""

    scheme: str  # https, http, ssh or file
    host: str  # lower case; "" for file
    port: int | None
    url: str
    identity: str
    web: str
    credential: Credential | None = None


# Hosts that answer for another name, so that port 443 can be used for ssh.
_SAME_HOST = {
    "ssh.github.com": "github.com",
    "altssh.gitlab.com": "gitlab.com",
    "altssh.bitbucket.org": "bitbucket.org",
    "www.github.com": "github.com",
}
_FORGES = frozenset("github gitlab bitbucket codeberg gitea forgejo".split())
_USUAL_PORTS = {"https": 443, "http": 80, "ssh": 22}
_SCP = re.compile(r"(?:(?P<user>[^@/:\[\]]+)@)?(?P<host>\[[^\]/]+\]|[^@/:\[\]]+):(?P<path>.+)", re.DOTALL)


def parse_address(spec: str) -> Address | None:
    """The address in `spec`, None when it is a path.

    Raises:
        BadInput: it looks like an address, and is none that can be used.
    """
    shown = _unspoken(spec)
    if not spec or any(ord(character) < 32 or ord(character) == 127 for character in spec):
        raise BadInput(
            f"{shown!r} is no path and no address.", hint="Give a folder, or an address like https://host/org/name."
        )
    if spec.startswith("-"):
        raise BadInput(f"{shown!r} begins with a dash.", hint="For a folder of that name write ./ before it.")
    if "://" not in spec:
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]*::", spec):
            raise BadInput(f"{shown!r} asks git to run a program as transport, which is never done.", hint=_SCHEMES)
        match = _SCP.fullmatch(spec)
        if match is None or os.path.lexists(spec):
            return None
        host, _, port = match["host"].strip("[]").partition(":")
        return _address("ssh", host, int(port) if port.isdigit() else None, match["path"], url=spec, shown=shown)
    parts = urllib.parse.urlsplit(spec)
    scheme = {"git+ssh": "ssh", "ssh+git": "ssh"}.get(parts.scheme, parts.scheme)
    if scheme == "file":
        path = urllib.parse.unquote(parts.path, errors="surrogateescape")
        if parts.netloc not in ("", "localhost") or not path.startswith("/"):
            raise BadInput(f"{shown!r} is no file address.", hint="Write file:///absolute/path.")
        path = os.path.realpath(path)
        return Address("file", "", None, f"file://{path}", f"local{path}", "")
    if scheme not in _USUAL_PORTS:
        raise BadInput(f"{shown!r}: {scheme}:// cannot be used.", hint=_SCHEMES)
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise BadInput(f"{shown!r} has no readable host and port.", hint=_SCHEMES) from None
    if parts.query or parts.fragment:
        raise BadInput(
            f"{shown.split('?')[0].split('#')[0]!r}: an address of a repository has no ? and no #.", hint=_SCHEMES
        )
    user = urllib.parse.unquote(parts.username or "")
    site = f"{f'[{host}]' if ':' in host else host}{'' if port is None else f':{port}'}"
    credential = None
    if scheme == "ssh":
        site = f"{user}@{site}" if user else site
    elif user or parts.password:
        password = None if parts.password is None else urllib.parse.unquote(parts.password)
        credential = Credential(f"{scheme}://{site}", user, password)
    address = _address(scheme, host, port, parts.path, url=f"{scheme}://{site}{parts.path}", shown=shown)
    return address._replace(credential=credential)


_SCHEMES = "Use https://host/org/name, ssh://git@host/org/name, git@host:org/name, file:///path, or a path."


def _address(scheme: str, host: str, port: int | None, path: str, *, url: str, shown: str) -> Address:
    host = host.lower()
    plain = urllib.parse.unquote(path, errors="surrogateescape").strip("/").removesuffix(".git").rstrip("/")
    parts = plain.split("/")
    if not re.fullmatch(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?|[0-9a-f:]+", host):
        raise BadInput(f"{shown!r} has no host that could be asked.", hint=_SCHEMES)
    if not plain or any(part in ("", ".", "..") for part in parts) or re.search(r"[\x00-\x1f\x7f]", plain):
        raise BadInput(f"{shown!r} names no repository on {host}.", hint=_SCHEMES)
    if parts[0].startswith("-"):
        raise BadInput(f"{shown!r}: the path begins with a dash.", hint=_SCHEMES)
    same = _SAME_HOST.get(host, host)
    if same != host or port == _USUAL_PORTS[scheme]:
        port = None
    identity = f"{same}:{port}/{plain}" if port else f"{same}/{plain}"
    web = ""
    if not _FORGES.isdisjoint(same.split(".")):
        at = f":{port}" if port and scheme != "ssh" else ""
        web = f"{'http' if scheme == 'http' else 'https'}://{same}{at}/{urllib.parse.quote(plain, errors='surrogateescape')}"
    return Address(scheme, host, port, url, identity, web)


def _unspoken(spec: str) -> str:
    """The spec for messages: whatever may be a credential is left out, also in an address that cannot be read."""
    return re.sub(r"://.*@", "://***@", scrub(spec), flags=re.DOTALL)[:300]


def _check_allowed(address: Address, profile: Profile) -> None:
    if profile == "local":
        return
    if address.scheme not in ("https", "ssh"):
        raise BadInput(f"A server takes no {address.scheme}:// address.", hint="Give an https or ssh address.")
    if address.port not in (None, 443 if address.scheme == "https" else 22):
        raise BadInput(f"{address.identity}: a server speaks to the usual ports only.", hint="Leave the port out.")
    if address.credential:
        raise BadInput(
            f"{address.identity}: an address given to a server holds no user name and password.", hint=_SCHEMES
        )


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[^\W_][^\x00-\x1f\x7f@]{0,299}", name) or ".." in name.split("/") or name.strip("/ ") != name:
        raise BadInput(
            f"{name[:80]!r} cannot be a repository's name.",
            hint="Use letters, digits and / . _ -, such as github.com/org/api.",
        )


def _check_branch(branch: str, git: Git) -> None:
    ref = branch if branch.startswith(("refs/heads/", "refs/tags/")) else f"refs/heads/{branch}"
    bad = not branch or "\0" in branch or (branch.startswith(("-", "refs/")) and ref != branch)
    if bad or git.text(("check-ref-format", ref)) is None:
        raise BadInput(f"{branch[:200]!r} cannot be the name of a branch.", hint="Name it as `git branch` shows it.")


# --------------------------------------------------------------------------------------------------------------- on disk


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
    excludes = os.path.expanduser(excludes)  # noqa: PTH111
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


# --------------------------------------------------------------------------------------------------------------- objects


@dataclass(frozen=True, slots=True)
class _Found:
    """A repository whose objects are read, and which commits."""

    git_dir: str
    identity: str
    origin: str
    web: str
    commits: list[tuple[str, str]]  # branch, commit


def _in_place(here: _OnDisk | _Bare, branches: Sequence[str], git: Git) -> _Found:
    if isinstance(here, _OnDisk):
        git_dir, origin = here.folder.common_dir, here.folder.path
        if here.folder.git_dir is None:
            raise BadInput(
                f"{origin} is not a git repository, so it has no branches.",
                hint="Leave out --branch to index the folder.",
            )
    else:
        git_dir = origin = here.git_dir
    if not branches:
        branches = [_head_of(git_dir, origin, git)]
    commits = []
    for branch in dict.fromkeys(branches):
        for ref in _refs_for(branch):
            if commit := git.text(
                ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"), git_dir=git_dir
            ):
                commits.append((_short(branch), commit))
                break
        else:
            raise _no_branch(branch, origin, _branches_of(git_dir, git))
    return _Found(git_dir, here.identity, origin, here.web, commits)


def _refs_for(branch: str) -> list[str]:
    if branch.startswith("refs/"):
        return [branch]
    return [f"refs/heads/{branch}", f"refs/remotes/origin/{branch}", f"refs/tags/{branch}"]


def _short(branch: str) -> str:
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
    if branch and git.text(
        ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{branch}^{{commit}}"), git_dir=git_dir
    ):
        return branch
    there = _branches_of(git_dir, git)
    if not there:
        raise _no_commits(origin)
    raise BadInput(f"{origin}: its HEAD names no branch that exists.", hint=f"Say which with --branch: {_some(there)}")


def _no_commits(where: str) -> BadInput:
    return BadInput(
        f"{where} has no commits yet.",
        hint="Commit something; a work tree can be indexed without --branch before that.",
    )


def _no_branch(branch: str, where: str, there: Sequence[str]) -> BadInput:
    if not there:
        return _no_commits(where)
    near = difflib.get_close_matches(branch, there, 1, 0.5)
    return BadInput(
        f"{where} has no branch or tag {branch!r}.",
        hint=f"Did you mean {near[0]!r}?" if near else f"There are: {_some(there)}",
    )


def _some(names: Sequence[str]) -> str:
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


def _objects(found: _Found, source: Source, commit: str, git: Git, options: FileOptions, hints: bytes) -> Tree:
    """The tree of a commit. Its paths are counted as they come, so a repository of endless folders ends at the limit."""
    skipped: list[Skipped] = []
    regular: dict[bytes, tuple[str, int]] = {}
    for count, record in enumerate(
        git.records(("ls-tree", "-r", "-z", "-l", "--full-tree", commit), git_dir=found.git_dir)
    ):
        if count >= options.max_files:
            raise BadInput(
                f"{source} holds more than {options.max_files:,} files.",
                hint="It is not indexed; is it a test for such tools?",
            )
        said, _, path = record.partition(b"\t")
        mode, _, oid, length = said.split()
        text = path.decode("utf-8", "surrogateescape")
        if mode == b"120000":
            skipped.append(Skipped(text, "symlink"))
        elif mode == b"160000":
            skipped.append(Skipped(text, "submodule"))
        elif not nameable(path):
            skipped.append(Skipped(text[:200], "unreadable", "git itself would refuse this path"))
        elif not length.isdigit():
            skipped.append(Skipped(text, "unreadable", "the object is not in this clone"))
        else:
            regular[path] = oid.decode(), int(length)
    reader = ObjectReader(found.git_dir, git)
    rule_files = {path: _rules_of(reader, *regular[path]) for path in regular if path.rpartition(b"/")[2] in RULE_FILES}
    dropped = sift(list(regular), rule_files, git, options)
    verdicts = Verdicts(hints, options)
    entries = []
    for path, (blob, size) in regular.items():
        text = path.decode("utf-8", "surrogateescape")
        if reason := dropped.get(path):
            skipped.append(Skipped(text, reason))
        elif size > options.max_bytes:
            skipped.append(Skipped(text, "too-large", f"{size:,} bytes"))
        elif verdict := verdicts(text, blob):
            skipped.append(verdict)
        else:
            entries.append(Entry(text, blob, size))
    return Tree(
        source=source,
        commit=commit,
        head=source.branch,
        origin=found.origin,
        web=found.web,
        entries=entries,
        skipped=sorted(skipped),
        hints=kept.pack(verdicts.kept()),
        reader=reader,
    )


def _rules_of(reader: ObjectReader, blob: str, size: int) -> Callable[[], bytes | None]:
    return lambda: next(reader.git.blobs(reader.git_dir, [blob])) if size <= 1_000_000 else None


# --------------------------------------------------------------------------------------------------------------- mirrors


def _fetched(
    address: Address, branches: Sequence[str], git: Git, mirrors: Path, progress: Callable[[str], None] | None
) -> _Found:
    """Brings the mirror up to date: the tip of each branch that is wanted, and nothing else."""
    wanted = _remote_commits(address, branches, git)
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", address.identity)[-80:].strip("-.")
    mirror = (
        mirrors
        / f"{readable}-{blake2b(address.identity.encode('utf-8', 'surrogateescape'), digest_size=8).hexdigest()}.git"
    )
    commits = []
    with _locked(mirror):
        _prepare(mirror, 32 if len(wanted[0][1]) == 64 else 20, git)
        missing = []
        for ref, oid in wanted:
            if (
                git.text(("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{}}"), git_dir=str(mirror))
                != oid
            ):
                missing.append(ref)
        if missing:
            command = [
                "fetch",
                "--depth=1",
                "--no-tags",
                "--no-write-fetch-head",
                "--no-recurse-submodules",
                "--update-shallow",
            ]
            command += [
                "--progress" if progress else "--quiet",
                "--",
                address.url,
                *(f"+{ref}:{ref}" for ref in missing),
            ]
            git.run(command, git_dir=str(mirror), credential=address.credential, progress=progress, network=True)
            _tidy(mirror, git)
        for ref, _ in wanted:
            commit = git.text(
                ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"), git_dir=str(mirror)
            )
            if commit is None:
                raise BadInput(f"{address.identity}: {ref} is no commit.", hint="Name a branch with --branch.")
            commits.append((_short(ref), commit))
    return _Found(str(mirror), address.identity, address.url, address.web, commits)


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
            raise _no_commits(address.identity)
        same = [ref for ref, at in heads.items() if oid and at == oid[1]]
        if not same:
            there = [_short(ref) for ref in heads]
            raise BadInput(
                f"{address.identity} names no default branch.", hint=f"Say which with --branch: {_some(there)}"
            )
        usual = [ref for ref in ("refs/heads/main", "refs/heads/master") if ref in same]
        return [((usual or same)[0], heads[(usual or same)[0]])]
    wanted = []
    for branch in dict.fromkeys(branches):
        refs = [branch] if branch.startswith("refs/") else [f"refs/heads/{branch}", f"refs/tags/{branch}"]
        answer = ask(*refs, *(f"{ref}^{{}}" for ref in refs))
        ref = next((ref for ref in refs if ref in answer), None)
        if ref is None:
            raise _no_branch(
                branch,
                address.identity,
                [_short(known) for known in ask(options=("--heads", "--tags")) if "^" not in known],
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
