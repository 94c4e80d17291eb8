"""Looking at folders and reading files on disk without ever following a symbolic link. Paths are bytes here.

A name is looked at relative to its opened folder and opened with O_NOFOLLOW, so that nothing that is put in the place of a file
or folder between listing and reading leads anywhere else.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from codequarry.ingest import hints as kept
from codequarry.ingest.hints import NO_FILE, Stamp

if TYPE_CHECKING:
    from codequarry.ingest.files import Entry

NAMES_OF_RULES = (b".gitignore", b".gitattributes", b".codequarryignore")
UNKNOWN = bytes(8)  # in place of a digest


class Files:
    """Opens regular files beneath a folder; no part of a path may be a symbolic link. Quickest in order of path."""

    def __init__(self, root: bytes) -> None:
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._folder, self._above = self._root, b""

    def read(self, path: bytes, limit: int) -> tuple[Stamp, bytes] | str:
        """The stamp before reading and up to `limit` + 1 bytes, or why that cannot be."""
        above, _, name = path.rpartition(b"/")
        try:
            if above != self._above:
                self._enter(above)
            # Without O_NONBLOCK, a FIFO that took the file's place would hold us up.
            opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._folder)
        except OSError as error:
            return error.strerror or "error"
        try:
            found = os.fstat(opened)
            if not stat.S_ISREG(found.st_mode):
                return "not a regular file"
            data = os.read(opened, min(found.st_size, limit) + 1)
            if len(data) != found.st_size:  # it changes just now, or the file system gave less than it was asked for
                while len(data) <= limit and (more := os.read(opened, limit + 1 - len(data))):
                    data += more
            return kept.stamp(found), data
        except OSError as error:
            return error.strerror or "error"
        finally:
            os.close(opened)

    def _enter(self, above: bytes) -> None:
        self._leave()
        folder = self._root
        for part in above.split(b"/") if above else ():
            try:
                inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            finally:
                if folder != self._root:
                    os.close(folder)
            folder = inner
        self._folder, self._above = folder, above

    def _leave(self) -> None:
        if self._folder != self._root:
            os.close(self._folder)
        self._folder, self._above = self._root, b""

    def close(self) -> None:
        """Closes what is open."""
        self._leave()
        os.close(self._root)


@dataclass(frozen=True, slots=True)
class FolderReader:
    """Reads files of a folder. Can be pickled."""

    folder: str
    width: int  # bytes of an object id: 20, or 32 in SHA-256 repositories
    limit: int  # files that grew beyond it are not read whole
    has_commit: bool  # without one nothing can be `modified`

    def read(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, bytes | None]]:
        """As `files.Reader` promises: an entry whose file was changed meanwhile comes back with its new id and size."""
        try:
            files = Files(to_bytes(self.folder))
        except OSError:
            yield from ((entry, None) for entry in entries)
            return
        try:
            for entry in entries:
                read = files.read(to_bytes(entry.path), self.limit)
                if isinstance(read, str):
                    yield entry, None
                    continue
                blob = blob_of(read[1], self.width).hex()
                if blob != entry.blob:
                    entry = entry._replace(blob=blob, size=len(read[1]), modified=self.has_commit)
                yield entry, read[1]
        finally:
            files.close()


@dataclass(slots=True)
class Seen:
    """What a walk over the folder found."""

    stats: dict[bytes, os.stat_result] = field(default_factory=dict)  # of listed files and links
    folders: list[tuple[bytes, os.stat_result, bytes]] = field(default_factory=list)  # path, stat, digest of names
    rules: list[bytes] = field(default_factory=list)  # files with rules that are not listed
    nested: list[bytes] = field(default_factory=list)  # repositories within this one
    closed: dict[bytes, str] = field(default_factory=dict)  # folders that cannot be read


def walk(root: bytes, listed: set[bytes], closed: set[bytes], ignored: Callable[[list[bytes]], set[bytes]]) -> Seen:
    """Looks into every folder that holds listed files or could come to hold some: all but the ignored ones.

    Args:
        root: where to begin.
        listed: the files that count.
        closed: folders that are other repositories.
        ignored: says which paths git ignores.
    """
    holding = {b""}
    for path in listed:
        while (path := path.rpartition(b"/")[0]) not in holding:
            holding.add(path)
    seen = Seen()
    to_scan, open_questions = [b""], dict[bytes, bool]()
    while to_scan or open_questions:
        if not to_scan:
            ignored_now = ignored(list(open_questions))
            unexplained = set()
            for path, is_folder in open_questions.items():
                if path not in ignored_now:
                    if is_folder:
                        to_scan.append(path)
                    else:
                        unexplained.add(path.rpartition(b"/")[0])
            open_questions = {}
            # A file that came after git was asked: its folder has to be looked at again.
            seen.folders = [(path, at, UNKNOWN if path in unexplained else names) for path, at, names in seen.folders]
            continue
        folder = to_scan.pop()
        above = folder + b"/" if folder else b""
        names = []
        try:
            found = os.lstat(root + b"/" + folder)
            with os.scandir(root + b"/" + folder) as entries:
                for entry in entries:
                    path = above + entry.name
                    is_folder = entry.is_dir(follow_symlinks=False)
                    names.append(entry.name + b"/" if is_folder else entry.name)
                    if path in listed:
                        seen.stats[path] = entry.stat(follow_symlinks=False)
                    elif entry.name == b".git" or path in closed:
                        pass
                    elif not is_folder:
                        if entry.name in NAMES_OF_RULES:
                            seen.rules.append(path)
                        elif entry.is_file(follow_symlinks=False) or entry.is_symlink():
                            open_questions[path] = False
                    elif path in holding:
                        to_scan.append(path)
                    elif os.path.lexists(root + b"/" + path + b"/.git"):
                        seen.nested.append(path)
                    else:
                        open_questions[path] = True
        except FileNotFoundError:
            continue
        except OSError as error:
            seen.closed[folder] = error.strerror or "error"
            names = [b"closed"]
        seen.folders.append((folder, found, _digest(names)))
    return seen


def stamp_of(path: bytes) -> Stamp:
    """The stamp of a file, which may be a link here; NO_FILE when there is none."""
    try:
        return kept.stamp(os.stat(path))  # noqa: PTH116 - bytes
    except OSError:
        return NO_FILE


def digest_of(path: bytes) -> bytes:
    """8 bytes of what stands in a file of git."""
    from hashlib import blake2b

    try:
        with open(path, "rb") as file:
            return blake2b(file.read(), digest_size=8).digest()
    except OSError:
        return b"no file."


def names_in(folder: bytes) -> bytes:
    """8 bytes of the names in a folder, as `Seen.folders` has them."""
    with os.scandir(folder) as entries:
        return _digest([entry.name + b"/" if entry.is_dir(follow_symlinks=False) else entry.name for entry in entries])


def _digest(names: list[bytes]) -> bytes:
    from hashlib import blake2b

    return blake2b(b"\0".join(sorted(names)), digest_size=8).digest()


def blob_of(data: bytes, width: int) -> bytes:
    """Git's object id of a file with these bytes."""
    from hashlib import sha1, sha256

    hasher = (sha1 if width == 20 else sha256)(b"blob %d\0" % len(data), usedforsecurity=False)
    hasher.update(data)
    return hasher.digest()


def to_bytes(text: str) -> bytes:
    """The bytes of a path, whatever the locale."""
    return text.encode("utf-8", "surrogateescape")


def to_text(data: bytes) -> str:
    """A path as the records have it."""
    return data.decode("utf-8", "surrogateescape")
