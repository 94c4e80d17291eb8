"""Released sources of packages, pinned: what a table names comes from its registry once, is compared with its digest, and laid out.

A table has a row for each package: registry, name, version, SHA-256 of the archive, language, licence, repository. The archives
stay in a cache folder; of each only the source files of its one language are laid out, without tests and generated files. Nothing
of a package is ever run or installed.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "training" / "code"))

import corpus
import registries
from registries import Package

from codequarry.models.training import sources

Change = Callable[[str, str], str]
"""Path and text of a file to the text that is laid out."""

TRAINED_ON = Path(registries.__file__).with_name("packages.tsv")


class NotFetchedError(Exception):
    """A registry, or the client that asks it, cannot be reached: nothing can be said."""


@dataclass(frozen=True)
class Released:
    """One row of a table."""

    registry: str
    name: str
    version: str
    sha256: str
    language: str
    licence: str
    repository: str

    @property
    def label(self) -> str:
        """A short name for folders and filters: that of its repository."""
        return self.repository.rpartition("/")[2]


def read_table(file: Path) -> list[Released]:
    """The rows of a table."""
    rows = file.read_text(encoding="utf-8").splitlines()[1:]
    return [Released(*row.split("\t")) for row in rows if row.strip()]


def fetch(table: Iterable[Released], cache: Path) -> dict[Released, Package]:
    """The packages with their archives, from the cache where it has them.

    Raises:
        NotFetchedError: a package could not be had.
        SystemExit: an archive is not the one that was pinned.
    """
    wanted = {row: Package(row.registry, row.name, row.version) for row in table}
    try:
        registries.fetch(list(wanted.values()), cache)
    except FileNotFoundError as error:
        raise NotFetchedError(f"{error.filename} is not installed") from error
    if missing := [row.name for row, package in wanted.items() if not package.archives]:
        raise NotFetchedError(f"the registries did not give {', '.join(missing)}")
    for row, package in wanted.items():
        if (found := digest(package.archives[0])) != row.sha256:
            raise SystemExit(f"{package.archives[0]} has the digest {found}, pinned is {row.sha256}")
    return wanted


def digest(archive: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(archive.read_bytes()).hexdigest()


def texts(row: Released, package: Package) -> Iterator[tuple[str, str]]:
    """Path and text of the source files of a package that people wrote in its language, tests left out, in order of path."""
    found = [
        (path, data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n"))
        for path, data in registries.files(package, lambda path: sources.language(path) == row.language)
        if corpus.usable(data)
    ]
    return iter(sorted(found))


def lay_out(row: Released, package: Package, folder: Path, change: Change = lambda path, text: text) -> int:
    """Writes the files of a package below `folder`, in place of what was there; how many bytes they have."""
    shutil.rmtree(folder, ignore_errors=True)
    size = 0
    for path, text in texts(row, package):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        size += target.write_bytes(change(path, text).encode())
    return size


def kept_apart(table: Iterable[Released], files: Iterable[Path]) -> None:
    """Checks that no package is among what the shipped model was trained on, nor in a repository that `files` name.

    Each file is a list of owner/name, one a line, or labels as JSON.

    Raises:
        SystemExit: with the packages that are.
    """
    trained = registries.read_list(TRAINED_ON)
    keys = {one.key for one in trained}
    homes = corpus.kept_apart(files) | {one.repository.lower() for one in trained if one.repository}
    names = {home.partition("/")[2] for home in homes}
    if met := [
        row.name
        for row in table
        if f"{row.registry}/{row.name}" in keys
        or row.repository.lower() in homes
        or row.repository.lower().partition("/")[2] in names
    ]:
        raise SystemExit(f"not to be measured with, they are known already: {', '.join(met)}")
