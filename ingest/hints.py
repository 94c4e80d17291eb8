"""What one look at a folder leaves for the next: for each file and folder what its stat said, and what was found then.

Hints are no truth. They are bytes that a store keeps and does not read; damaged or foreign ones count as none. They consist of
sections, each compressed by itself, so that the question "has anything changed?" unpacks only what it needs:

    verdicts   which files their content ruled out, by path and blob (JSON)
    meta       what the listing said besides its files (JSON)
    watch      paths and stamps of files, folders and git's own files (binary)
    blobs      object id and flags of each file (binary)

The module imports nothing heavy: a search runs `is_fresh` before it answers.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os

_MAGIC = b"CQH1"
_MASK = (1 << 63) - 1

MODIFIED, TRACKED = 1, 2  # flags of a file

Stamp = tuple[int, int, int, int]  # size, mtime and ctime in ns, inode: each cut to 63 bits
NO_FILE: Stamp = (-1, 0, 0, 0)


class Damaged(ValueError):
    """These bytes are no hints of this version."""


def stamp(stat: os.stat_result) -> Stamp:
    """What changes when a file's content does: ctime too, since mtime can be set back."""
    return stat.st_size, stat.st_mtime_ns & _MASK, stat.st_ctime_ns & _MASK, stat.st_ino & _MASK


def unsettled(stamp: Stamp, now_ns: int) -> bool:
    """Whether the file was changed so shortly before `now_ns` that a second change may leave the same stamp.

    Kernels stamp by a clock of 1 to 10 ms; file systems whose times are whole seconds (or even ones) by a slower one.
    """
    latest = max(stamp[1], stamp[2])
    return latest > now_ns - (2_100_000_000 if latest % 1_000_000_000 == 0 else 50_000_000)


@dataclass(slots=True)
class Known:
    """The sections `meta`, `watch` and `blobs`, unpacked. Paths are bytes, relative to the folder; lists run in parallel."""

    meta: dict[str, Any] = field(default_factory=dict)
    files: list[bytes] = field(default_factory=list)
    file_stamps: array[int] = field(
        default_factory=lambda: array("q")
    )  # 4 a file; ctime 0: its bytes must be looked at
    folders: list[bytes] = field(default_factory=list)
    folder_stamps: array[int] = field(
        default_factory=lambda: array("q")
    )  # 2 a folder: mtime, ctime; ctime 0: look at its names
    folder_names: bytes = b""  # 8 a folder: digest of the names in it; zeros: something was not understood, look again
    git_files: list[bytes] = field(default_factory=list)  # absolute paths
    git_stamps: array[int] = field(default_factory=lambda: array("q"))  # 4 a file
    git_digests: bytes = b""  # 8 a file: of its bytes where the stamp is not settled, else zeros
    large: list[bytes] = field(default_factory=list)  # files left out for their size
    limit: int = 0  # the size that they exceed
    blobs: bytearray = field(default_factory=bytearray)  # 20 or 32 a file
    flags: bytearray = field(default_factory=bytearray)  # 1 a file

    def add_file(self, path: bytes, stamp: Stamp, blob: bytes, flags: int) -> None:
        """Adds a row to the lists of files."""
        self.files.append(path)
        self.file_stamps.extend(stamp)
        self.blobs += blob
        self.flags.append(flags)


def pack(verdicts: Mapping[str, Any], known: Known | None = None) -> bytes:
    """The bytes that `verdicts_of`, `watch_of` and `known_of` read."""
    import json

    sections = [json.dumps(verdicts).encode()]
    if known:
        watch = [
            _lines(known.files),
            known.file_stamps.tobytes(),
            _lines(known.folders),
            known.folder_stamps.tobytes(),
            known.folder_names,
            _lines(known.git_files),
            known.git_stamps.tobytes(),
            known.git_digests,
            _lines(known.large),
            known.limit.to_bytes(8, "little"),
        ]
        sections += [json.dumps(known.meta).encode(), _joined(watch)]
    packed = [zlib.compress(section, 1) for section in sections]
    if known:
        packed.append(zlib.compress(_joined([known.blobs, known.flags]), 0))  # ids do not get smaller
    return _MAGIC + _joined(packed)


def replace_verdicts(hints: bytes, verdicts: Mapping[str, Any]) -> bytes:
    """The same hints with other verdicts."""
    import json

    return _MAGIC + _joined([zlib.compress(json.dumps(verdicts).encode(), 1), *_sections(hints)[1:]])


def verdicts_of(hints: bytes) -> dict[str, Any]:
    """The section `verdicts`, empty when there is none."""
    import json

    try:
        verdicts = json.loads(zlib.decompress(_sections(hints)[0]))
    except (Damaged, zlib.error, ValueError, IndexError):
        return {}
    return verdicts if isinstance(verdicts, dict) else {}


def watch_of(hints: bytes) -> Known:
    """The section `watch` alone.

    Raises:
        Damaged: there is none.
    """
    try:
        parts = _parts(zlib.decompress(_sections(hints)[2]))
        known = Known(
            files=_split(parts[0]),
            file_stamps=array("q", parts[1]),
            folders=_split(parts[2]),
            folder_stamps=array("q", parts[3]),
            folder_names=parts[4],
            git_files=_split(parts[5]),
            git_stamps=array("q", parts[6]),
            git_digests=parts[7],
            large=_split(parts[8]),
            limit=int.from_bytes(parts[9], "little"),
        )
    except (zlib.error, ValueError, IndexError) as error:
        raise Damaged("no watch section") from error
    if (
        len(known.file_stamps) != 4 * len(known.files)
        or len(known.folder_stamps) != 2 * len(known.folders)
        or len(known.folder_names) != 8 * len(known.folders)
        or len(known.git_stamps) != 4 * len(known.git_files)
        or len(known.git_digests) != 8 * len(known.git_files)
    ):
        raise Damaged("sections of unequal length")
    return known


def blobs_of(hints: bytes, files: int) -> tuple[bytearray, bytearray]:
    """The section `blobs`, object ids and flags, of so many files.

    Raises:
        Damaged: there is none, or of another number of files.
    """
    try:
        blobs, flags = map(bytearray, _parts(zlib.decompress(_sections(hints)[3])))
    except (zlib.error, ValueError, IndexError) as error:
        raise Damaged("no blobs section") from error
    if len(flags) != files or len(blobs) not in (20 * files, 32 * files):
        raise Damaged("sections of unequal length")
    return blobs, flags


def known_of(hints: bytes) -> Known:
    """The sections `meta`, `watch` and `blobs`.

    Raises:
        Damaged: they are not there.
    """
    import json

    known = watch_of(hints)
    known.blobs, known.flags = blobs_of(hints, len(known.files))
    try:
        known.meta = json.loads(zlib.decompress(_sections(hints)[1]))
    except (zlib.error, ValueError, IndexError) as error:
        raise Damaged("no meta section") from error
    return known


def _sections(hints: bytes) -> list[bytes]:
    if not hints.startswith(_MAGIC):
        raise Damaged("not hints of this version")
    return _parts(memoryview(hints)[len(_MAGIC) :])


def _joined(parts: Iterable[bytes | bytearray]) -> bytes:
    return b"".join(piece for part in parts for piece in (struct.pack("<I", len(part)), part))


def _parts(data: bytes | memoryview) -> list[bytes]:
    parts, at = [], 0
    while at < len(data):
        if at + 4 > len(data):
            raise Damaged("cut off")
        (length,) = struct.unpack_from("<I", data, at)
        at += 4
        if at + length > len(data):
            raise Damaged("cut off")
        parts.append(bytes(data[at : at + length]))
        at += length
    return parts


def _lines(paths: Sequence[bytes]) -> bytes:
    return b"".join(path + b"\0" for path in paths)


def _split(data: bytes) -> list[bytes]:
    return data.split(b"\0")[:-1]
