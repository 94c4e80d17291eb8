"""The writers and readers of `nemesis.py`, each a process of its own, and the repositories that they work on.

    python nemesis_parts.py '{"role": "writer", "seed": 1, …}'

A process says on its output, as lines of JSON, what it counted; a reader also each violation: {"kind", "source", "path", …}.
"""

from __future__ import annotations

import contextlib
import json
import pickle
import random
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codequarry.errors import BadInput, CodequarryError, GitError, PathNotFound, StoreError, WriterBusy
from codequarry.ingest import RECIPE
from codequarry.ingest.pipeline import Pipeline
from codequarry.models import open_embedder
from codequarry.ports import Store
from codequarry.store.elastic import ElasticStore, ledger, publish, read
from codequarry.store.elastic.client import Client, Write
from codequarry.store.elastic.history import History
from codequarry.types import Candidate, Pattern, Request, Scope, Source, SourceState

REPOSITORIES = ("api", "web", "job")
BRANCHES = ("main", "next", "topic")
FILES, VERSIONS, COMMITS = 30, 5, 80
WORD = "everywhere"  # stands in every chunk


def git(folder: Path, *arguments: str, given: bytes | None = None) -> str:
    """What git says."""
    reply = subprocess.run(
        ["git", "--git-dir", str(folder), *arguments], input=given, capture_output=True, check=True, timeout=60
    )
    return reply.stdout.decode()


def ref_of(folder: Path, branch: str) -> str:
    """The commit of a branch, "" where there is none."""
    try:
        return git(folder, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}").strip()
    except subprocess.CalledProcessError:
        return ""


def make_repositories(folder: Path, seed: int) -> list[Path]:
    """Bare repositories whose commits add, edit, copy, move and remove files; contents come back and are shared."""
    chance = random.Random(seed)
    made = []
    for name in REPOSITORIES:
        path = folder / name
        subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(path)], check=True)
        tree = {f"d{number % 4}/f{number}.py": chance.randrange(VERSIONS) for number in range(FILES)}
        script: list[str] = []
        for number in range(COMMITS):
            for _ in range(chance.choice([1, 1, 2, 4])) if number else ():
                _change(tree, chance)
            script.append(f"commit refs/heads/main\nmark :{number + 1}\n")
            script.append(f"committer n <n@example.com> {1_700_000_000 + number} +0000\ndata 1\nc\n")
            script.append(f"from :{number}\n" if number else "")
            script.append("deleteall\n")
            for file, version in tree.items():
                text = content(file, version)
                script.append(f"M 644 inline {file}\ndata {len(text)}\n{text}\n")
        git(path, "fast-import", "--quiet", given="".join(script).encode())
        made.append(path)
    return made


def _change(tree: dict[str, int], chance: random.Random) -> None:
    file = chance.choice(sorted(tree))
    new = f"d{chance.randrange(4)}/f{chance.randrange(2 * FILES)}.py"
    match chance.choice(["edit", "edit", "edit", "add", "move", "copy", "remove"]):
        case "edit":
            tree[file] = chance.randrange(VERSIONS)
        case "add":
            tree[new] = chance.randrange(VERSIONS)
        case "move":
            tree[new] = tree.pop(file)
        case "copy":
            tree[new] = tree[file]
        case "remove" if len(tree) > FILES // 2:
            del tree[file]


def content(file: str, version: int) -> str:
    """One version of a file, of a few chunks."""
    return "\n".join(
        f"def {WORD}_{version}_{number}(value):\n"
        + "".join(f"    value = value + {version * line}  # {WORD} {line}\n" for line in range(20))
        for number in range(5)
    )


@dataclass
class Truth:
    """What git says: by repository and commit the blob of each path, the text of each blob, and the commits in order."""

    trees: dict[str, dict[str, dict[str, str]]]
    texts: dict[str, str]
    order: dict[str, list[str]]

    @classmethod
    def read(cls, folders: Sequence[Path]) -> Truth:
        """Asks git for everything."""
        truth = cls({}, {}, {})
        for folder in folders:
            commits = git(folder, "rev-list", "--reverse", "main").split()
            trees = truth.trees[f"local{folder}"] = {}
            truth.order[folder.name] = commits
            for commit in commits:
                lines = git(folder, "ls-tree", "-r", commit).splitlines()
                trees[commit] = {line.split("\t")[1]: line.split()[2] for line in lines}
            for blob in {blob for tree in trees.values() for blob in tree.values()} - truth.texts.keys():
                truth.texts[blob] = git(folder, "cat-file", "blob", blob)
            git(folder, "update-ref", "refs/tags/all", commits[-1])  # keeps what no branch shows
            git(folder, "update-ref", "refs/heads/main", commits[COMMITS // 2])
        return truth

    @staticmethod
    def source(folder: Path, branch: str) -> Source:
        """The source that the product makes of a branch."""
        return Source(f"local{folder}", branch)


def pipeline_of(store: Store, folder: Path) -> Pipeline:
    """The shipped pipeline, in one process."""
    return Pipeline(store, open_embedder("hash:64"), mirrors=folder / "mirrors", processes=1)


# ---------------------------------------------------------------------------------------------------------------- weakened


def put_in(owner: type, name: str, new: Callable[..., object]) -> None:
    """Has a class of this process do something else."""
    setattr(owner, name, new)


def weaken(what: str, role: str) -> None:
    """Breaks one promise in this process."""
    if (what, role) == ("refresh", "writer"):
        put_in(Client, "refresh", lambda *_: None)
    if (what, role) == ("compare-and-set", "writer"):
        put_in(Write, "lines", _without_tokens)
    if (what, role) == ("aborted", "reader"):
        at = History.at
        put_in(History, "at", lambda history, pointer, _: at(history, pointer, ()))
    if (what, role) == ("confirm", "reader"):
        put_in(read._Search, "_confirm", _trusting)


_lines = Write.lines


def _without_tokens(write: Write) -> bytes:
    verb = "index" if write.verb == "create" else write.verb
    return _lines(Write(verb, write.at, write.source))


def _trusting(search: Any, hits: Sequence[Any]) -> None:
    for hit in hits:
        hit.places = sorted(read.place(search._sources[src], False) for src in hit.showing)


# ----------------------------------------------------------------------------------------------------------------- writers


def dawdle(chance: random.Random) -> None:
    """Has this process wait before the pointer moves, now and then: there it is worst to be killed, or stopped."""
    refresh = Client.refresh

    def slowly(client: Client, *indices: str) -> None:
        refresh(client, *indices)
        if len(indices) == 2 and chance.random() < 0.4:
            time.sleep(chance.uniform(0.5, 3.0))

    put_in(Client, "refresh", slowly)


class Writer:
    """Indexes branches that are not indexed as git has them, and forgets those that are gone."""

    def __init__(self, store: ElasticStore, folder: Path, truth: Truth, chance: random.Random) -> None:
        self.store, self.folder, self.truth, self.chance = store, folder, truth, chance
        self.pipeline = pipeline_of(store, folder)

    def step(self) -> dict[str, int]:
        """One look at one branch; what was done, for counting."""
        folder, branch = self.folder / self.chance.choice(REPOSITORIES), self.chance.choice(BRANCHES)
        source = self.truth.source(folder, branch)
        try:
            indexed = {state.source: state for state in self.store.sources()}.get(source)
            tip = ref_of(folder, branch)
            if tip == (indexed.commit if indexed and not indexed.building else ""):
                time.sleep(0.05)
                return {}
            if not tip:
                self.store.forget(source)
                return {"branches forgotten": 1}
            (report,) = self.pipeline.index(str(folder), branches=[branch])
            return {"publications": 1, "files shown anew": report.added + report.changed}
        except WriterBusy:
            return {"publications that met another": 1}
        except StoreError as error:
            if not error.retryable:
                raise
            time.sleep(self.chance.uniform(0, 1))
            return {"publications to be tried again": 1}
        except (BadInput, GitError):
            return {"branches that went meanwhile": 1}


# ----------------------------------------------------------------------------------------------------------------- readers


class Reader:
    """Asks, and compares with git."""

    def __init__(self, store: ElasticStore, folder: Path, truth: Truth, chance: random.Random) -> None:
        self.store, self.folder, self.truth, self.chance = store, folder, truth, chance
        self.pointers: dict[Source, int] = {}
        self.found: list[dict[str, Any]] = []
        self.counts: Counter[str] = Counter()

    def step(self) -> dict[str, int]:
        """One question. Violations are left in `found`."""
        self.counts.clear()
        self.found.clear()
        sources = [
            self.truth.source(self.folder / name, branch)
            for name in self.chance.sample(REPOSITORIES, self.chance.choice([1, 1, 1, 2]))
            for branch in self.chance.sample(BRANCHES, self.chance.choice([1, 1, 3]))
        ]
        kind = self.chance.choice(["match", "match", "rank", "file"])
        try:
            if kind == "file":
                self._file(sources[0])
            else:
                self._search(tuple(sources), whole=kind == "match")
            if self.chance.random() < 0.1:
                self._pointers()
        except StoreError as error:
            if not error.retryable:
                raise
            self.counts["questions to be asked again"] += 1
        return dict(self.counts)

    def _search(self, sources: tuple[Source, ...], *, whole: bool) -> None:
        before = self._states(sources) if whole else {}
        scope = Scope(sources=sources, patterns=(Pattern(WORD, WORD),) if whole else ())
        number = self.chance.randrange(VERSIONS)
        vector = None if whole else open_embedder("hash:64").embed_question(f"{WORD} value {number}")
        answer = self.store.retrieve(Request(scope, (WORD, str(number)), vector=vector, matches=1_000_000))
        self.counts["searches"] += 1
        by_source: dict[Source, list[Candidate]] = defaultdict(list)
        commits: dict[Source, set[str]] = defaultdict(set)
        for one in answer.candidates:
            for place in one.places:
                by_source[place.source].append(one)
                commits[place.source].add(place.commit)
        for source, found in by_source.items():
            if len(commits[source]) > 1:
                self._violation("two commits in one answer", source, "", sorted(commits[source]))
                continue
            (commit,) = commits[source]
            self._compare(source, commit, found, whole=whole)
        if whole:
            after = self._states(sources)
            for source in sources:
                there = before.get(source)
                if there is None or there != after.get(source) or there.building or not there.files:
                    continue
                if source not in by_source:
                    self._violation("nothing of a source", source, "", [there.commit])

    def _states(self, sources: Sequence[Source]) -> dict[Source, SourceState]:
        """As of now, and not as of the last refresh: of that some copy may know less than another for a moment."""
        rows = [self.store._row(source) for source in sources]
        return {row.source: row.as_state() for row in rows if row is not None}

    def _compare(self, source: Source, commit: str, found: Sequence[Candidate], *, whole: bool) -> None:
        tree = self.truth.trees[source.repo][commit]
        lines: dict[str, set[int]] = defaultdict(set)
        for one, text in zip(found, self.store.texts(found), strict=True):
            self.counts["chunks compared"] += 1
            blob = tree.get(one.path)
            if blob != one.blob:
                self._violation("not of the commit", source, one.path, [commit, blob, one.blob])
                continue
            wanted = self.truth.texts[blob].split("\n")[one.start_line - 1 : one.end_line]
            if wanted != text.split("\n"):
                self._violation("another text", source, one.path, [commit, blob])
            lines[one.path].update(range(one.start_line, one.end_line + 1))
        self.counts["files compared"] += len(lines)
        for path, blob in tree.items() if whole else ():
            there = {number for number, line in enumerate(self.truth.texts[blob].split("\n"), 1) if line.strip()}
            if path not in lines:
                self._violation("neither version", source, path, [commit, blob])
            elif there - lines[path]:
                self._violation("a part of a file", source, path, [commit, blob])

    def _file(self, source: Source) -> None:
        path = self.chance.choice(sorted({path for tree in self.truth.trees[source.repo].values() for path in tree}))
        with contextlib.suppress(PathNotFound):  # of which commit it said so, nobody knows
            file = self.store.read_file(source, path)
            self.counts["files read"] += 1
            blob = self.truth.trees[source.repo][file.commit].get(path)
            if blob != file.blob or self.truth.texts[blob] != file.text:
                self._violation("a file read is not of the commit", source, path, [file.commit, blob, file.blob])

    def _pointers(self) -> None:
        for source in [self.truth.source(self.folder / name, branch) for name in REPOSITORIES for branch in BRANCHES]:
            row = self.store._row(source)
            if row is not None:
                if row.pointer < self.pointers.get(source, 0):
                    self._violation("a pointer went back", source, "", [self.pointers[source], row.pointer])
                self.pointers[source] = row.pointer

    def _violation(self, kind: str, source: Source, path: str, more: Sequence[Any]) -> None:
        self.found.append(
            {"kind": kind, "source": f"{Path(source.repo).name}/{source.branch}", "path": path, "saw": more}
        )


def main() -> None:
    given = json.loads(sys.argv[1])
    folder, chance = Path(given["folder"]), random.Random(given["seed"])
    weaken(given["weaken"], given["role"])
    if given["role"] == "writer":
        dawdle(chance)
    ledger.LEASE_S = given["lease_s"]
    truth: Truth = pickle.loads((folder / "truth").read_bytes())
    store = ElasticStore(given["url"], prefix=given["prefix"], create=True)
    store.prepare(open_embedder("hash:64"), RECIPE)
    worker = (Writer if given["role"] == "writer" else Reader)(store, folder, truth, chance)
    while True:
        try:
            counted = worker.step()
        except CodequarryError as error:
            print(json.dumps({"kind": f"{given['role']}: {type(error).__name__}: {error.message}"}), flush=True)
            time.sleep(1)
            continue
        for violation in getattr(worker, "found", ()):
            print(json.dumps(violation), flush=True)
        if counted:
            print(json.dumps(counted), flush=True)


assert publish  # what writers use is loaded before anything is weakened

if __name__ == "__main__":
    main()
