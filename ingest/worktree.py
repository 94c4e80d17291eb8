"""A folder as it stands on disk: a work tree of git, or a plain folder.

`is_fresh` says whether anything changed since the hints were made, by the stamps of files and folders alone. `list_folder` says
what there is now, and reads only files whose stamp changed. Git decides which files belong (tracked, or untracked and not
ignored) and which differ from its commit; plain folders are asked of git too, with an empty repository beside them.

The order of looking matters, since people write meanwhile: stamps are taken before what they stand for is looked at, so a change
in between is seen as one the next time. A file changed so shortly ago that its stamp may not move again is looked at by content.
Nothing here follows a symbolic link.
"""

from __future__ import annotations

import os
import stat
import time
from array import array
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, NamedTuple

from codequarry.ingest import hints as kept
from codequarry.ingest.disk import (
    NAMES_OF_RULES,
    UNKNOWN,
    Files,
    FolderReader,
    blob_of,
    digest_of,
    names_in,
    stamp_of,
    to_bytes,
    to_text,
    walk,
)
from codequarry.ingest.hints import MODIFIED, TRACKED, Known, Stamp

if TYPE_CHECKING:
    from codequarry.ingest.files import FileOptions, Tree
    from codequarry.ingest.git import Git
    from codequarry.types import Source

_LOOK_AT_MOST = 200  # unsettled files whose content `is_fresh` compares before it gives up


def is_fresh(folder: str, hints: bytes) -> bool:
    """Whether the folder still is what the listing that left `hints` saw: True is certain, False means "list it again".

    Stats every file and folder that was listed: about 5 microseconds each.
    """
    root = to_bytes(folder)
    try:
        known = kept.watch_of(hints)
        return _same_git_files(known) and _same_folders(root, known) and _same_files(root, known, hints)
    except (kept.Damaged, OSError):
        return False


def _same_git_files(known: Known) -> bool:
    stamps = known.git_stamps.tolist()
    for i, path in enumerate(known.git_files):
        if stamp_of(path) != tuple(stamps[4 * i : 4 * i + 4]):
            return False
        digest = known.git_digests[8 * i : 8 * i + 8]
        if digest != UNKNOWN and digest != digest_of(path):
            return False
    return True


def _same_folders(root: bytes, known: Known, settle_at: int | None = None) -> bool:
    """Whether the same names are in all folders. With the time `settle_at`, stamps that moved are brought up to date."""
    stamps, names = known.folder_stamps, known.folder_names
    for i, path in enumerate(known.folders):
        full = root + b"/" + path
        found = os.lstat(full)
        if found.st_ctime_ns != stamps[2 * i + 1] or found.st_mtime_ns != stamps[2 * i]:
            # Something came, went, or was saved by renaming: only other names are a change.
            if not stat.S_ISDIR(found.st_mode) or names_in(full) != names[8 * i : 8 * i + 8]:
                return False
            if settle_at is not None:
                stamps[2 * i], stamps[2 * i + 1] = _settled(kept.stamp(found), settle_at)[1:3]
    return all(os.lstat(root + b"/" + path).st_size > known.limit for path in known.large)


def _same_files(root: bytes, known: Known, hints: bytes) -> bool:
    changed = _changed_files(root, known)
    if not changed:
        return True
    stamps = known.file_stamps
    if len(changed) > _LOOK_AT_MOST or any(found is None or stamps[4 * i + 2] for i, found in changed.items()):
        return False
    blobs, _ = kept.blobs_of(hints, len(known.files))
    width = len(blobs) // len(known.files)
    files = Files(root)
    try:
        for i in changed:
            read = files.read(known.files[i], known.limit)
            if isinstance(read, str) or blob_of(read[1], width) != blobs[i * width : (i + 1) * width]:
                return False
        return True
    finally:
        files.close()


def _changed_files(root: bytes, known: Known) -> dict[int, os.stat_result | None]:
    """The files by index whose stamp is another now, or was not settled; None for one that is gone."""
    changed: dict[int, os.stat_result | None] = {}
    lstat = os.lstat
    stamps = iter(known.file_stamps)
    rows = zip(known.files, stamps, stamps, stamps, stamps, strict=True)
    for i, (path, size, mtime, ctime, inode) in enumerate(rows):
        try:
            found = lstat(root + b"/" + path)
        except OSError:
            changed[i] = None
            continue
        differs = (
            found.st_ctime_ns != ctime or found.st_mtime_ns != mtime or found.st_size != size or found.st_ino != inode
        )
        if differs and kept.stamp(found) != (size, mtime, ctime, inode):  # numbers beyond 63 bits are cut there
            changed[i] = found
    return changed


# -------------------------------------------------------------------------------------------------------------- listing


class Folder(NamedTuple):
    """A folder and what git is there. `git_dir` is None for a plain one."""

    path: str  # absolute, no symbolic link in it
    git_dir: str | None = None
    common_dir: str = ""  # where refs and configuration are: differs from `git_dir` in linked work trees
    width: int = 20  # bytes of an object id
    excludes: str = ""  # the person's own list of ignored names


def list_folder(
    folder: Folder, git: Git, *, source: Source, origin: str, web: str, options: FileOptions, hints: bytes
) -> Tree:
    """What the folder shows now.

    Args:
        folder: what to list.
        git: to ask.
        source: what it is indexed as.
        origin: for the tree.
        web: for the tree.
        options: which files count.
        hints: what an earlier listing left, or b"".

    Raises:
        BadInput: there are more files than `options.max_files`.
        GitError: git failed.
    """
    from codequarry.ingest.files import Entry, Tree, Verdicts
    from codequarry.types import Skipped

    verdicts = Verdicts(hints, options)
    try:
        old = kept.known_of(hints)
    except kept.Damaged:
        old = Known()
    if old.meta.get("rules") != _rules(folder, options):
        old = Known()
    known = _quick(folder, git, old) or _whole(folder, git, options, old)
    commit = known.meta["commit"]
    skipped = [Skipped(*row) for row in known.meta["skipped"]]
    width, differs = folder.width, MODIFIED if commit else 0
    # All at once: this is done for each question that finds something changed.
    names = to_text(b"\0".join(known.files)).split("\0") if known.files else []
    ids = known.blobs.hex()
    blobs = [ids[at : at + 2 * width] for at in range(0, len(ids), 2 * width)]
    rows = zip(names, blobs, known.file_stamps[::4], known.flags, strict=True)
    entries = [Entry(name, blob, size, flags & differs > 0) for name, blob, size, flags in rows]
    if verdicts:
        ruled_out = [skip for entry in entries if (skip := verdicts(entry.path, entry.blob))]
        left_out = {skip.path for skip in ruled_out}
        entries = [entry for entry in entries if entry.path not in left_out]
        skipped += ruled_out
    return Tree(
        source=source,
        commit=commit,
        head=known.meta["head"],
        origin=origin,
        web=web,
        entries=entries,
        skipped=sorted(skipped),
        hints=kept.pack(verdicts.kept(), known),
        reader=FolderReader(folder.path, width, options.max_bytes, bool(commit)),
    )


def _rules(folder: Folder, options: FileOptions) -> str:
    return f"{folder.width}:{options.fingerprint}"


def _quick(folder: Folder, git: Git, known: Known) -> Known | None:
    """The same listing with the files whose content changed, None when more than content changed."""
    if not known.meta:
        return None
    root = to_bytes(folder.path)
    now = time.time_ns()
    try:
        if not _same_git_files(known) or not _same_folders(root, known, now):
            return None
    except OSError:
        return None
    changed = _changed_files(root, known)
    if len(changed) > 1000 or None in changed.values():
        return None
    files = Files(root)
    edited: dict[bytes, int] = {}
    width = folder.width
    try:
        for i in changed:
            path = known.files[i]
            read = files.read(path, known.limit)
            if isinstance(read, str) or len(read[1]) > known.limit:
                return None
            blob = blob_of(read[1], width)
            if blob != known.blobs[i * width : (i + 1) * width]:
                if path.rpartition(b"/")[2] in NAMES_OF_RULES:
                    return None
                edited[path] = i
                known.blobs[i * width : (i + 1) * width] = blob
            known.file_stamps[4 * i : 4 * i + 4] = array("q", _settled(read[0], now))
    finally:
        files.close()
    tracked = [path for path, i in edited.items() if known.flags[i] & TRACKED]
    if tracked and folder.git_dir:
        commit, head, differing = _status(folder, git, tracked if len(tracked) <= 100 else ())
        if (commit, head) != (known.meta["commit"], known.meta["head"]):
            return None
        for path in tracked:
            i = edited[path]
            differs = path in differing and differing[path] != known.blobs[i * width : (i + 1) * width]
            known.flags[i] = TRACKED | (MODIFIED if differs else 0)
    return known


def _whole(folder: Folder, git: Git, options: FileOptions, old: Known) -> Known:
    """A listing from the start; stamps in `old` save reading files again."""
    from codequarry.ingest.files import sift

    root = to_bytes(folder.path)
    now = time.time_ns()
    known = Known(limit=options.max_bytes)
    for path in _git_files(folder):
        _watch(known, path, now)
    tracked, submodules, listed = _listed(folder, git, options.max_files)
    seen = walk(root, listed, submodules, lambda paths: _ignored(folder, git, paths))
    for path in seen.rules:
        _watch(known, root + b"/" + path, now)
    for path, found, names in seen.folders:
        _, mtime, ctime, _ = _settled(kept.stamp(found), now)
        known.folders.append(path)
        known.folder_stamps.extend((mtime, ctime))
        known.folder_names += names

    skipped: list[tuple[bytes, str, str]] = [(path, "submodule", "") for path in (*submodules, *seen.nested)]
    skipped += [(path + b"/", "unreadable", why) for path, why in seen.closed.items()]
    regular = []
    for path in sorted(seen.stats.keys() & listed):
        mode = seen.stats[path].st_mode
        if stat.S_ISREG(mode):
            regular.append(path)
        else:
            skipped.append((path, "symlink", "") if stat.S_ISLNK(mode) else (path, "unreadable", "not a regular file"))

    files = Files(root)
    try:
        readers = {
            path: _rule_reader(files, path)
            for path in (*regular, *seen.rules)
            if path.rpartition(b"/")[2] in (b".codequarryignore", b".gitattributes")
        }
        dropped = sift(regular, readers, git, options)
        have = {path: i for i, path in enumerate(old.files)}
        for path in regular:
            size = seen.stats[path].st_size
            if reason := dropped.get(path):
                skipped.append((path, reason, ""))
            elif size > options.max_bytes:
                known.large.append(path)
                skipped.append((path, "too-large", f"{size:,} bytes"))
            else:
                stamp = kept.stamp(seen.stats[path])
                i = have.get(path, -1)
                if i >= 0 and old.file_stamps[4 * i : 4 * i + 4].tolist() == list(stamp):
                    blob = bytes(old.blobs[i * folder.width : (i + 1) * folder.width])
                else:
                    read = files.read(path, options.max_bytes)
                    if isinstance(read, str):
                        skipped.append((path, "unreadable", read))
                        continue
                    stamp, blob = read[0], blob_of(read[1], folder.width)
                known.add_file(path, _settled(stamp, now), blob, TRACKED if path in tracked else 0)
    finally:
        files.close()

    # Git is asked last what differs: a file that is changed after that has another stamp than the one taken above.
    commit, head, differing = _status(folder, git) if folder.git_dir else ("", "", {})
    for i, path in enumerate(known.files):
        if path in differing:
            if differing[path] != known.blobs[i * folder.width : (i + 1) * folder.width]:
                known.flags[i] |= MODIFIED
        elif not known.flags[i] & TRACKED:
            known.flags[i] |= MODIFIED
    known.meta = {
        "rules": _rules(folder, options),
        "commit": commit,
        "head": head,
        "skipped": [(to_text(path), reason, detail) for path, reason, detail in skipped],
    }
    return known


def _listed(folder: Folder, git: Git, at_most: int) -> tuple[set[bytes], set[bytes], set[bytes]]:
    """The paths that git counts to the folder: those it tracks, the submodules (with nested repositories), and all files."""
    from codequarry.errors import BadInput
    from codequarry.ingest.git import empty_repository

    tracked: set[bytes] = set()
    submodules: set[bytes] = set()
    listed: set[bytes] = set()

    def take(records: Iterator[bytes]) -> None:
        for record in records:
            if record.startswith(b"? "):
                path = record[2:]
                if path.endswith(b"/"):
                    submodules.add(path[:-1])
                else:
                    listed.add(path)
            else:
                said, _, path = record.partition(b"\t")
                if said[2:].startswith(b"160000"):
                    submodules.add(path)
                else:
                    tracked.add(path)
                    listed.add(path)
            if len(listed) > at_most:
                raise BadInput(
                    f"{folder.path} holds more than {at_most:,} files.",
                    hint="Name a smaller folder, or leave folders out with .gitignore or .codequarryignore.",
                )

    if folder.git_dir:
        take(git.records(("ls-files", "-z", "-t", "-s", "-c", "-o", "--exclude-standard"), cwd=folder.path))
    else:
        with empty_repository() as beside:
            command = (f"--work-tree={folder.path}", "ls-files", "-z", "-t", "-o", "--exclude-per-directory=.gitignore")
            take(git.records(command, git_dir=beside, cwd=folder.path))
    return tracked, submodules, listed


def _ignored(folder: Folder, git: Git, paths: list[bytes]) -> set[bytes]:
    from codequarry.ingest.git import empty_repository, ignored

    if folder.git_dir:
        return ignored(git, paths, cwd=folder.path)
    with empty_repository() as beside:
        own = (f"--work-tree={folder.path}", "-c", "core.excludesFile=/dev/null")
        return ignored(git, paths, *own, git_dir=beside, cwd=folder.path)


def _status(folder: Folder, git: Git, paths: Collection[bytes] = ()) -> tuple[str, str, dict[bytes, bytes]]:
    """Commit ("" for none), branch ("HEAD" for none), and the paths that differ from it, with the object id they have there."""
    command: list[str | bytes] = [
        "--literal-pathspecs",
        "status",
        "--porcelain=v2",
        "-z",
        "--branch",
        "-uno",
        "--no-renames",
        "--ignore-submodules=all",
    ]
    commit = head = ""
    differing: dict[bytes, bytes] = {}
    for record in git.run([*command, "--", *paths] if paths else command, cwd=folder.path).split(b"\0"):
        if record.startswith(b"# branch.oid "):
            commit = record[13:].decode()
        elif record.startswith(b"# branch.head "):
            head = to_text(record[14:])
        elif record.startswith(b"1 "):
            fields = record.split(b" ", 8)
            differing[fields[8]] = bytes.fromhex(fields[6].decode())
        elif record.startswith(b"u "):
            differing[record.split(b" ", 10)[10]] = b""
    return "" if commit == "(initial)" else commit, "HEAD" if head == "(detached)" else head, differing


def _git_files(folder: Folder) -> list[bytes]:
    """The files of git whose change can change what the folder shows: head, index, configuration, ignored names."""
    if not folder.git_dir:
        return []
    git_dir, common = to_bytes(folder.git_dir), to_bytes(folder.common_dir)
    watched = [git_dir + b"/HEAD", git_dir + b"/index", common + b"/packed-refs", common + b"/config"]
    watched += [common + b"/info/exclude", common + b"/reftable/tables.list"]
    try:
        with open(watched[0], "rb") as file:
            head = file.read(4096)
    except OSError:
        head = b""
    if head.startswith(b"ref: refs/"):
        watched.append(common + b"/" + head[5:].strip())
    if folder.excludes:
        watched.append(to_bytes(folder.excludes))
    return watched


def _watch(known: Known, path: bytes, now_ns: int) -> None:
    stamp = stamp_of(path)
    known.git_files.append(path)
    known.git_stamps.extend(stamp)
    known.git_digests += digest_of(path) if kept.unsettled(stamp, now_ns) else UNKNOWN


# ------------------------------------------------------------------------------------------------------------ small parts


def _rule_reader(files: Files, path: bytes) -> Callable[[], bytes | None]:
    def read() -> bytes | None:
        found = files.read(path, 1_000_000)
        return None if isinstance(found, str) else found[1]

    return read


def _settled(stamp: Stamp, now_ns: int) -> Stamp:
    """The stamp to keep: without ctime, which no file has, where equal stamps would not prove equal bytes."""
    return (stamp[0], stamp[1], 0, stamp[3]) if kept.unsettled(stamp, now_ns) else stamp
