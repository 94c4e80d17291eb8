"""What a commit shows: all of its files, or what differs from the commit that was listed before it.

A listing leaves in its hints which commit it was of, and where the files stand that rule others out. As long as git has that
commit, the next listing asks for the difference alone, so that it costs what changed, not what there is. Where an ignore file is
among what changed, or the rules are others, all is listed: the rest may be left out now, or count again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from codequarry.errors import BadInput, GitError
from codequarry.ingest import hints as kept
from codequarry.ingest.files import RULE_FILES, Entry, FileOptions, Since, Tree, Verdicts, nameable, sift
from codequarry.ingest.git import Git
from codequarry.ingest.objects import Found, ObjectReader
from codequarry.types import Skipped, Source

_RULE_FILE_BYTES = 1_000_000


class _Item(NamedTuple):
    """What stands at a path of a commit. `size`: None where git does not have the object."""

    path: bytes
    mode: bytes
    blob: str
    size: int | None


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit to be listed, and what the listing that the index shows has left."""

    found: Found
    source: Source
    commit: str
    git: Git
    options: FileOptions
    hints: bytes

    def tree(self) -> Tree:
        """The tree; where the hints are of a commit that git still has, of what differs from that one (`Tree.since`)."""
        return self._changed() or self.whole()

    def whole(self) -> Tree:
        """The tree with all of its files. Its paths are counted as they come, so a repository of endless folders ends at the limit.

        Raises:
            BadInput: there are more than a source may have.
            GitError: git cannot read it.
        """
        sorted_out = _SortedOut()
        count = 0
        for item in self._listed():
            count += 1
            if count > self.options.max_files:
                raise BadInput(
                    f"{self.source} holds more than {self.options.max_files:,} files.",
                    hint="It is not indexed; is it a test for such tools?",
                )
            sorted_out.add(item)
        rules = {path: at for path, at in sorted_out.regular.items() if path.rpartition(b"/")[2] in RULE_FILES}
        return self._tree(sorted_out, rules, count)

    def _listed(self) -> Iterator[_Item]:
        command = ("ls-tree", "-r", "-z", "-l", "--full-tree", self.commit)
        for record in self.git.records(command, git_dir=self.found.git_dir):
            said, _, path = record.partition(b"\t")
            mode, _, oid, length = said.split()
            yield _Item(path, mode, oid.decode(), int(length) if length.isdigit() else None)

    # ------------------------------------------------------------------------------------------------------ differences

    def _changed(self) -> Tree | None:
        """What differs from the listing that left the hints; None where all must be listed."""
        verdicts = kept.verdicts_of(self.hints)
        listed = verdicts.get("listed")
        if verdicts.get("rules") != self.options.fingerprint or not listed or not _is_commit(listed["commit"]):
            return None
        try:
            changes = list(self._differing(listed["commit"]))
            sizes = self._sizes([change.new for change in changes if change.new_mode.startswith(b"100")])
        except GitError:
            return None  # that commit is gone from the mirror
        count = listed["count"] + sum(change.growth for change in changes)
        paths = [change.path for change in changes]
        if count > self.options.max_files or not all(map(_is_simple, paths)):
            return None
        sorted_out = _SortedOut()
        for change in changes:
            if change.new_mode != _NOTHING:
                sorted_out.add(_Item(change.path, change.new_mode, change.new, sizes.get(change.new)))
        before = {_text(change.path): change.old if change.old_mode.startswith(b"100") else "" for change in changes}
        rules = {path.encode("utf-8", "surrogateescape"): (blob, size) for path, blob, size in listed["rule files"]}
        ruled_out = {path: verdict for path, verdict in verdicts["skips"].items() if path not in before}
        tree = self._tree(sorted_out, rules, count, ruled_out)
        tree.since = Since(self.hints, before, self.whole)
        return tree

    def _differing(self, before: str) -> Iterator[_Change]:
        command = ("diff-tree", "-r", "-z", "--raw", "--no-renames", "--ignore-submodules=none", before, self.commit)
        records = self.git.records((*command, "--"), git_dir=self.found.git_dir)
        for said, path in zip(records, records, strict=True):
            old_mode, new_mode, old, new, _ = said.removeprefix(b":").split()
            yield _Change(path, old_mode, new_mode, old.decode(), new.decode())

    def _sizes(self, blobs: Iterable[str]) -> dict[str, int | None]:
        asked = list(dict.fromkeys(blobs))
        if not asked:
            return {}
        given = "".join(f"{blob}\n" for blob in asked).encode()
        said = self.git.run(("cat-file", "--batch-check=%(objectsize)"), git_dir=self.found.git_dir, stdin=given)
        return {
            blob: int(line) if line.isdigit() else None for blob, line in zip(asked, said.split(b"\n"), strict=False)
        }

    # ------------------------------------------------------------------------------------------------------------- both

    def _tree(
        self,
        sorted_out: _SortedOut,
        rules: dict[bytes, tuple[str, int]],
        count: int,
        ruled_out: Mapping[str, list[str]] = MappingProxyType({}),
    ) -> Tree:
        """The tree of what was sorted out.

        Args:
            sorted_out: the files that are looked at.
            rules: the files of the commit that rule others out, with blob and size.
            count: how many paths the commit has.
            ruled_out: what is known of the content of files that are not looked at.
        """
        reader = ObjectReader(self.found.git_dir, self.git)
        skipped, regular = sorted_out.skipped, sorted_out.regular
        dropped = sift(list(regular), {path: _read(reader, *at) for path, at in rules.items()}, self.git, self.options)
        verdicts = Verdicts(self.hints, self.options)
        entries = []
        for path, (blob, size) in regular.items():
            text = _text(path)
            if reason := dropped.get(path):
                skipped.append(Skipped(text, reason))
            elif size > self.options.max_bytes:
                skipped.append(Skipped(text, "too-large", f"{size:,} bytes"))
            elif verdict := verdicts(text, blob):
                skipped.append(verdict)
            else:
                entries.append(Entry(text, blob, size))
        known = verdicts.kept()
        known["skips"] |= ruled_out
        if not any(one.reason == "unreadable" for one in skipped):  # the next time it may be there
            where = [[_text(path), *at] for path, at in rules.items()]
            known["listed"] = {"commit": self.commit, "count": count, "rule files": where}
        return Tree(
            source=self.source,
            commit=self.commit,
            head=self.source.branch,
            origin=self.found.origin,
            web=self.found.web,
            entries=entries,
            skipped=sorted(skipped),
            hints=kept.pack(known),
            reader=reader,
        )


_NOTHING = b"000000"


class _Change(NamedTuple):
    """A path at which two commits differ; what it does not have in one has the mode `_NOTHING` there."""

    path: bytes
    old_mode: bytes
    new_mode: bytes
    old: str
    new: str

    @property
    def growth(self) -> int:
        """By how many paths there are more."""
        return (self.new_mode != _NOTHING) - (self.old_mode != _NOTHING)


def _is_commit(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", value) is not None


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _is_simple(path: bytes) -> bool:
    """Whether the path decides of nothing but itself, and is listed by its own name."""
    return nameable(path) and path.rpartition(b"/")[2] not in RULE_FILES


class _SortedOut:
    """Regular files, with blob and size, and what is no file that counts."""

    def __init__(self) -> None:
        self.regular: dict[bytes, tuple[str, int]] = {}
        self.skipped: list[Skipped] = []

    def add(self, item: _Item) -> None:
        """Takes an item to where it belongs."""
        text = _text(item.path)
        if item.mode == b"120000":
            self.skipped.append(Skipped(text, "symlink"))
        elif item.mode == b"160000":
            self.skipped.append(Skipped(text, "submodule"))
        elif not nameable(item.path):
            self.skipped.append(Skipped(text[:200], "unreadable", "git itself would refuse this path"))
        elif item.size is None:
            self.skipped.append(Skipped(text, "unreadable", "the object is not in this clone"))
        else:
            self.regular[item.path] = item.blob, item.size


def _read(reader: ObjectReader, blob: str, size: int) -> Callable[[], bytes | None]:
    return lambda: next(reader.git.blobs(reader.git_dir, [blob])) if size <= _RULE_FILE_BYTES else None
