"""The git command: how it is started, what it may do, and how objects are read from it.

Everything that codequarry knows of a repository comes through here. Git runs as a process of its own, which is the fastest way
measured, can be stopped, and is patched by the distribution. Two profiles say what it may do:

    local    the command line: paths, file://, http(s), ssh, with the user's own configuration, ssh and credential helpers
    server   a service: https and ssh alone, no configuration but ours, no prompt, no redirect, objects checked on arrival,
             and only at addresses that were checked (`Git.reaching`)

In both: no hooks, no file system monitor, no replaced objects, no optional locks, no garbage collection behind our back.
Credentials reach git through the environment, never its arguments, and are removed from every message.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Literal, NamedTuple

from codequarry.errors import GitError
from codequarry.ingest.failures import decoded, failure, scrub, subcommand

if TYPE_CHECKING:
    from codequarry.ingest.network import Rules

Profile = Literal["local", "server"]

# 2.31 (March 2021) has `rev-parse --path-format` and all else that is used.
MINIMUM = (2, 31)

_BOTH = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=60",
)
_CONFIG: dict[Profile, tuple[str, ...]] = {
    "local": ("safe.bareRepository=all", "fetch.recurseSubmodules=false"),
    "server": (
        "protocol.allow=never",
        "protocol.https.allow=always",
        "protocol.ssh.allow=always",
        "core.symlinks=false",
        "transfer.fsckObjects=true",
        "fetch.recurseSubmodules=false",
        "transfer.bundleURI=false",
        "http.followRedirects=false",
        "credential.helper=",
        "safe.bareRepository=explicit",
    ),
}
# What a caller's surroundings may not decide: git sets some of these for its hooks, others would change what it prints.
_UNWANTED = re.compile(
    r"GIT_(DIR|WORK_TREE|INDEX_FILE|COMMON_DIR|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|NAMESPACE|PREFIX|EXTERNAL_DIFF"
    r"|(LITERAL|GLOB|NOGLOB|ICASE)_PATHSPECS|QUARANTINE_PATH|SHALLOW_FILE|GRAFT_FILE|CURL_VERBOSE|TRACE.*|ATTR_SOURCE)|LANG(UAGE)?|LC_.*"
)
_KEPT_BY_A_SERVER = re.compile(
    r"PATH|TMPDIR|SSH_AUTH_SOCK|SSL_CERT_(FILE|DIR)|GIT_SSL_CA(INFO|PATH)|(https?|no|all)_proxy", re.IGNORECASE
)
_SSH = "ssh -oBatchMode=yes -oStrictHostKeyChecking=yes"
_SERVER_BYTES = 8 << 30  # largest file and largest address space of a fetch
_SERVER_SECONDS = 900.0  # longest fetch

# Run by git as `helper get`: what it prints comes from the environment, so that `ps` shows nothing.
_HELPER = (
    '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" '
    '"$CODEQUARRY_GIT_USERNAME" "$CODEQUARRY_GIT_PASSWORD"; }; f'
)


class Credential(NamedTuple):
    """What stood before the `@` of an address. `site` is `https://host[:port]`, the only place it is sent to.

    For ssh: `key` is the path of the private key that is tried, and no other; `known_hosts` that of the file with the host's key.
    """

    site: str
    username: str
    password: str | None
    key: str | None = None
    known_hosts: str | None = None

    def __repr__(self) -> str:
        return f"Credential({self.site!r}, ***)"


class Pinned(NamedTuple):
    """A host and the addresses at which it is asked; none where a proxy looks them up."""

    host: str
    port: int
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Git:
    """How git is run. It can be pickled, so that worker processes read with the same restrictions."""

    profile: Profile = "local"
    rules: Rules | None = None  # which hosts a server may ask; None: every public one
    pinned: Pinned | None = None  # the host that it may speak to, and where

    def reaching(self, scheme: str, host: str) -> Git:
        """A git that may speak to that host: a server's only at the addresses that the name stands for now.

        Raises:
            BadInput: a server may not ask that host.
            GitError: it has no address; `retryable`.
        """
        if self.profile == "local":
            return self
        from codequarry.ingest.network import PORTS, Rules, reach

        port = PORTS[scheme]
        return replace(self, pinned=Pinned(host, port, reach(host, port, self.rules or Rules())))

    def run(
        self,
        arguments: Sequence[str | bytes],
        *,
        git_dir: str | None = None,
        cwd: str | bytes | None = None,
        stdin: bytes = b"",
        ok: Sequence[int] = (0,),
        credential: Credential | None = None,
        progress: Callable[[str], None] | None = None,
        network: bool = False,
    ) -> bytes:
        """What git prints to standard output.

        Args:
            arguments: subcommand and the rest; whatever comes from outside stands behind `--` or is checked before.
            git_dir: the repository, when git is not to look for it from `cwd`.
            cwd: folder to run in.
            stdin: given to git's standard input.
            ok: exit statuses that are no error.
            credential: for the one site it names.
            progress: called with what git says of its progress, a line at a time, and about once a second while it says nothing;
                for commands that print next to nothing. What it raises stops git.
            network: that another host is spoken to: the server's limits of time and size apply.

        Raises:
            GitError: git is missing, too old, or ended otherwise; `hint` says what to do where that is known.
        """
        limited = network and self.profile == "server"
        assert self.pinned is not None or not limited, "a server's git speaks to checked hosts only"
        limit_s = _SERVER_SECONDS if limited else None
        with (
            tempfile.TemporaryFile() as said,
            self._start(
                arguments,
                git_dir=git_dir,
                cwd=cwd,
                stdin=subprocess.PIPE,
                stderr=subprocess.PIPE if progress else said,
                credential=credential,
                limited=limited,
            ) as process,
        ):
            try:
                if progress:
                    _tell(process, said, progress, limit_s)
                    output = process.stdout.read() if process.stdout else b""
                    process.wait()
                else:
                    output, _ = process.communicate(stdin, timeout=limit_s)
            except subprocess.TimeoutExpired:
                _stop(process, group=limited)
                raise GitError(
                    f"git {subcommand(arguments)} took longer than {_SERVER_SECONDS:.0f} s and was stopped",
                    retryable=True,
                ) from None
            except BaseException:  # interrupted, or whatever `progress` raises: git must not go on without us
                _stop(process, group=limited)
                raise
            if process.returncode in ok:
                return output
            said.seek(0)
            raise failure(arguments, process.returncode, said.read(), credential)

    def text(
        self, arguments: Sequence[str | bytes], *, git_dir: str | None = None, cwd: str | bytes | None = None
    ) -> str | None:
        """What git prints, without the last line end; None when it ends with another status than 0."""
        _installed()  # that is an error, whatever was asked
        try:
            return decoded(self.run(arguments, git_dir=git_dir, cwd=cwd)).removesuffix("\n")
        except GitError:
            return None

    def records(
        self, arguments: Sequence[str | bytes], *, git_dir: str | None = None, cwd: str | bytes | None = None
    ) -> Generator[bytes]:
        """The NUL-terminated records that git prints, as they come. Closing the iterator stops git.

        Raises:
            GitError: git ended with another status than 0.
        """
        with self._reading(arguments, git_dir=git_dir, cwd=cwd, stdin=subprocess.DEVNULL) as printed:
            rest = b""
            while piece := printed.read(1 << 18):
                records = (rest + piece).split(b"\0")
                rest = records.pop()
                yield from records

    def blobs(self, git_dir: str, oids: Iterable[str]) -> Iterator[bytes | None]:
        """The bytes of each object in order, None for one that is not there. Ask only for sizes that memory holds."""
        with tempfile.TemporaryFile() as asked:
            # The questions lie in a file, so git can never wait for us while we wait for git.
            asked.write("".join(f"{oid}\n" for oid in oids).encode("ascii"))
            count = asked.tell()
            asked.seek(0)
            if not count:
                return
            with self._reading(("cat-file", "--batch", "--buffer"), git_dir=git_dir, cwd=None, stdin=asked) as printed:
                while header := printed.readline():
                    words = header.split()
                    if len(words) == 3 and words[1] == b"blob":
                        size = int(words[2])
                        data = printed.read(size + 1)
                        if len(data) <= size:
                            break
                        yield data[:size]
                    elif words and words[-1] == b"missing":
                        yield None
                    else:
                        raise GitError(f"git cat-file answered {header[:80]!r}, which is no file")

    @contextlib.contextmanager
    def _reading(
        self, arguments: Sequence[str | bytes], *, git_dir: str | None, cwd: str | bytes | None, stdin: int | IO[bytes]
    ) -> Iterator[IO[bytes]]:
        """What git prints, to be read in the block; leaving it before its end, by an error or a closed iterator, stops git.

        Raises:
            GitError: git ended with another status than 0.
        """
        with (
            tempfile.TemporaryFile() as said,
            self._start(arguments, git_dir=git_dir, cwd=cwd, stdin=stdin, stderr=said) as process,
        ):
            assert process.stdout is not None
            try:
                yield process.stdout
            except BaseException:  # GeneratorExit too, where whoever reads wants no more
                _stop(process)
                raise
            if process.wait():
                said.seek(0)
                raise failure(arguments, process.returncode, said.read())

    def _start(
        self,
        arguments: Sequence[str | bytes],
        *,
        git_dir: str | None,
        cwd: str | bytes | None,
        stdin: int | IO[bytes],
        stderr: int | IO[bytes],
        credential: Credential | None = None,
        limited: bool = False,
    ) -> subprocess.Popen[bytes]:
        command: list[str | bytes] = [_installed()]
        if limited:
            kilobytes = _SERVER_BYTES >> 10
            limits = f'ulimit -f {kilobytes} 2>/dev/null; ulimit -v {kilobytes} 2>/dev/null; exec "$0" "$@"'
            command = ["/bin/sh", "-c", limits, *command]
        for setting in (*_BOTH, *_CONFIG[self.profile], *self._resolved()):
            command += ["-c", setting]
        if credential and credential.key is None:
            if credential.password is not None:
                command += ["-c", f"credential.{credential.site}.helper="]  # forget the helpers met before
            command += ["-c", f"credential.{credential.site}.helper={_HELPER}"]
        if git_dir is not None:
            command.append(f"--git-dir={git_dir}")
        return subprocess.Popen(
            [*command, *arguments],
            cwd=cwd,
            env=self._environment(credential),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=limited,
        )

    def _resolved(self) -> list[str]:
        """For https: what the host's name stands for, so that nobody is asked again (git 2.37; an older one asks again)."""
        if self.pinned is None or self.pinned.port != 443 or ":" in self.pinned.host or not self.pinned.addresses:
            return []
        where = ",".join(f"[{address}]" if ":" in address else address for address in self.pinned.addresses)
        return [f"http.curloptResolve={self.pinned.host}:{self.pinned.port}:{where}"]

    def _environment(self, credential: Credential | None) -> dict[str, str]:
        if self.profile == "server":
            environment = {key: value for key, value in os.environ.items() if _KEPT_BY_A_SERVER.fullmatch(key)}
            environment |= {
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_CONFIG_GLOBAL": "/dev/null",
                "HOME": "/nonexistent",
                "GIT_ASKPASS": "/bin/false",
                "GIT_ALLOW_PROTOCOL": "https:ssh",
                "GIT_SSH_COMMAND": _SSH,
            }
            if self.pinned is not None and self.pinned.port == 22 and self.pinned.addresses:
                # The key is still looked for under the host's name.
                where = f" -oHostName={self.pinned.addresses[0]} -oHostKeyAlias={self.pinned.host}"
                environment["GIT_SSH_COMMAND"] += where
        else:
            environment = {key: value for key, value in os.environ.items() if not _UNWANTED.fullmatch(key)}
            environment["GIT_ALLOW_PROTOCOL"] = "file:http:https:ssh"
        if credential and credential.key is not None:
            environment.pop("SSH_AUTH_SOCK", None)
            # No agent, no other key and nobody's configuration; both paths hold nothing that a shell reads otherwise.
            ours = f" -F/dev/null -oIdentityAgent=none -oIdentitiesOnly=yes -oIdentityFile={credential.key}"
            ours += f" -oUserKnownHostsFile={credential.known_hosts}" if credential.known_hosts else ""
            environment["GIT_SSH_COMMAND"] = (
                environment["GIT_SSH_COMMAND"] if self.profile == "server" else _SSH
            ) + ours
        environment |= {
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "LC_ALL": "C",
        }
        if credential and credential.key is None:
            environment["CODEQUARRY_GIT_USERNAME"] = credential.username
            environment["CODEQUARRY_GIT_PASSWORD"] = credential.password or ""
        return environment


def ignored(git: Git, paths: Iterable[bytes], *before: str, git_dir: str | None = None, cwd: str | bytes) -> set[bytes]:
    """Those of the paths that git ignores in the folder `cwd`. `before`: options that stand before the subcommand."""
    # "./", since check-ignore reads a path that begins with a colon as a pattern, and knows no literal ones.
    given = b"".join(b"./" + path + b"\0" for path in paths)
    command = (*before, "check-ignore", "-z", "--stdin", *(() if git_dir is None else ("--no-index",)))
    said = git.run(command, git_dir=git_dir, cwd=cwd, stdin=given, ok=(0, 1))  # 1: none of them
    return {path.removeprefix(b"./") for path in said.split(b"\0")[:-1]}


@contextlib.contextmanager
def empty_repository() -> Iterator[str]:
    """A git directory without anything in it, for as long as the block lasts: git's matchers ask for one."""
    with tempfile.TemporaryDirectory(prefix="codequarry-git-") as folder:
        for name in ("objects", "refs"):
            os.mkdir(f"{folder}/{name}")  # noqa: PTH102 - Path is not worth its time here
        for name, text in (
            ("HEAD", "ref: refs/heads/none\n"),
            ("config", "[core]\n\trepositoryformatversion = 0\n\tbare = false\n"),
        ):
            with open(f"{folder}/{name}", "w", encoding="ascii") as file:
                file.write(text)
        yield folder


def _installed() -> str:
    """Where git is. Asked anew each time, checked once for each place."""
    return _checked(shutil.which("git") or "")


@functools.cache
def _checked(path: str) -> str:
    try:
        said = subprocess.run(
            [path or "git", "version"], stdin=subprocess.DEVNULL, capture_output=True, check=False
        ).stdout
    except OSError as error:
        raise GitError(
            "The git command was not found.", hint="Install git and make sure that it is on the PATH."
        ) from error
    version = re.search(rb"(\d+)\.(\d+)", said)
    if version and (int(version[1]), int(version[2])) < MINIMUM:
        raise GitError(
            f"This git is version {version[0].decode()}; {MINIMUM[0]}.{MINIMUM[1]} or later is needed.",
            hint="Install a newer git.",
        )
    return path or "git"


def _tell(
    process: subprocess.Popen[bytes], said: IO[bytes], progress: Callable[[str], None], limit_s: float | None
) -> None:
    """Copies standard error to `said`, and each line of it, also those ended by a carriage return, to `progress`.

    Raises:
        subprocess.TimeoutExpired: git was not done within the limit.
    """
    if process.stdin:
        process.stdin.close()
    assert process.stderr is not None
    line, last = b"", ""
    end = None if limit_s is None else time.monotonic() + limit_s
    while True:
        if end is not None and time.monotonic() > end:
            raise subprocess.TimeoutExpired(process.args, limit_s or 0.0)
        if not select.select([process.stderr], [], [], 1.0)[0]:
            progress(last)
            continue
        if not (piece := os.read(process.stderr.fileno(), 4096)):
            return
        said.write(piece)
        *lines, line = re.split(rb"[\r\n]", line + piece)
        for whole in lines:
            if whole.strip():
                last = scrub(decoded(whole.strip()))
                progress(last)


def _stop(process: subprocess.Popen[bytes], *, group: bool = False) -> None:
    with contextlib.suppress(ProcessLookupError):
        if group:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    for pipe in (process.stdout, process.stderr, process.stdin):
        if pipe:
            with contextlib.suppress(OSError):
                pipe.close()
    process.wait()
