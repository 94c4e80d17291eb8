"""The records, in the order in which data flows: source, file, chunk | scope, request, candidate, hit, snippet, prompt.

They are plain data: no behaviour beyond what can be read off their fields, no import beyond the standard library. Paths are
POSIX, relative to the repository's root; bytes that are not UTF-8 stand in them as lone surrogates (`surrogateescape`).
Lines are 1-based and both ends are included. Vectors are unit vectors times 127, rounded, as `dim` signed bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

# ---------------------------------------------------------------------------------------------------------------- sources


class Source(NamedTuple):
    """One thing that is indexed as a whole: a branch of a repository, or a folder as it stands on disk.

    `repo` is the identity, host and full path (`github.com/org/api`), or `local/` and the absolute path where there is no
    remote. `branch` is the branch's name, or `worktree:` and the absolute path of the folder.
    """

    repo: str
    branch: str

    @property
    def folder(self) -> str | None:
        """The folder on disk that this source shows, None for a branch read from git's objects."""
        return self.branch.removeprefix("worktree:") if self.branch.startswith("worktree:") else None

    def __str__(self) -> str:
        return f"{self.repo}@{self.branch}"


class FileKey(NamedTuple):
    """One version of one file of a repository: `blob` is git's object id of its bytes (40 hex, 64 in SHA-256 repositories).

    The key of everything made from a file: two branches that show the same key share its chunks.
    """

    path: str
    blob: str


class Shown(NamedTuple):
    """That a source shows a version of a file; `modified`: it differs from the source's commit (work trees only)."""

    path: str
    blob: str
    modified: bool = False


class Skipped(NamedTuple):
    """A file that was left out. `reason`: one of the slugs of `ingest.files.REASONS`; `detail`: a sentence part, or empty."""

    path: str
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SourceState:
    """What the store knows of a source. All of it moves at once, when a publication is committed."""

    source: Source
    commit: str = ""  # 40 hex; empty for a folder without git, or where nothing is committed yet
    head: str = ""  # the branch that was checked out (work trees), else the branch itself
    origin: str = ""  # path or URL it was read from, as given, without credentials
    web: str = ""  # address of the repository on its forge, for permalinks; empty when unknown
    default: bool = True  # searched when no branch is asked for
    access: tuple[str, ...] = ()  # groups that may see it; empty: everyone
    files: int = 0
    chunks: int = 0
    size_bytes: int = 0  # of the text of the shown files
    skipped: int = 0
    indexed_at: float = 0.0  # Unix seconds of the last commit of a publication; 0.0: never
    recipe: str = ""  # fingerprint of the rules that made its files and chunks (`ingest.RECIPE`)
    building: bool = False  # a publication has begun and is not committed: what is shown may be missing or old


# ----------------------------------------------------------------------------------------------------------------- files


class Symbol(NamedTuple):
    """A name that a chunk defines. `kind`: function, method, class, struct, enum, type, constant, variable, and the like."""

    name: str
    kind: str
    line: int


@dataclass(slots=True)
class Chunk:
    """A piece of one file: its text is exactly the lines `start_line`..`end_line`, without the last line's terminator."""

    start_line: int
    end_line: int
    start_byte: int  # into FileVersion.text
    end_byte: int  # exclusive
    kind: str  # code, docs, config, text
    breadcrumb: str  # "path › class › method(signature)": where in its file it stands
    symbols: tuple[Symbol, ...] = ()
    content_hash: str = ""  # 32 hex of the text: equal code in several places
    vector_key: str = ""  # 32 hex of breadcrumb and text: what the vector was made from
    terms: str = ""  # BM25 terms of the text and the path's words, space-separated, in order
    names: str = ""  # BM25 terms of the defined names, or text.FILLER
    raw: str = ""  # the case-kept words of the text, space-separated, in order: for phrases and literals
    vector: bytes = b""


@dataclass(slots=True)
class FileVersion:
    """A file, chunked: what `ingest` makes and a store keeps. Everything in it follows from path, bytes and recipe."""

    path: str
    blob: str
    language: str  # a name of `ingest.languages`, or "" for plain text
    marks: tuple[str, ...]  # of: generated, vendored, build (they rank last); sorted
    text: bytes  # the whole text as UTF-8
    chunks: list[Chunk]
    path_terms: str = ""  # BM25 terms of the path
    identifiers: list[str] = field(default_factory=list)  # distinct case-kept words not met before in this run

    @property
    def key(self) -> FileKey:
        """Path and blob."""
        return FileKey(self.path, self.blob)


@dataclass(slots=True)
class FileText:
    """A file as a reader asked for it."""

    source: Source
    commit: str
    path: str
    blob: str
    language: str
    text: str
    modified: bool = False


# ----------------------------------------------------------------------------------------------------------------- asking


@dataclass(frozen=True, slots=True)
class Pattern:
    """A text that must stand within one line; case counts unless the regex says otherwise.

    `regex` is in re2's syntax (an escaped literal for a phrase) and decides alone; `literal` is set when it is one literal text.
    """

    regex: str
    literal: str | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """What may be found at all. Every hit satisfies all of it; a value that nothing has gives no hits.

    Several values of one field are alternatives; several fields, `patterns` and the `not_` fields must all hold. It is the
    chunk that must satisfy it, so two patterns must both match in one chunk.
    """

    sources: tuple[Source, ...] | None = None  # None: each repository's default sources; (): nothing
    languages: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()  # globs, see text.glob_regex
    kinds: tuple[str, ...] = ()  # a chunk's kind, or the kind of a symbol it defines
    symbols: tuple[str, ...] = ()  # names defined, case counts
    patterns: tuple[Pattern, ...] = ()  # all must match
    not_languages: tuple[str, ...] = ()
    not_paths: tuple[str, ...] = ()
    not_kinds: tuple[str, ...] = ()
    not_symbols: tuple[str, ...] = ()
    not_patterns: tuple[Pattern, ...] = ()
    not_terms: tuple[str, ...] = ()  # BM25 terms
    access: tuple[str, ...] | None = None  # groups of the caller; None: no access control; (): nothing


@dataclass(frozen=True, slots=True)
class Request:
    """What a store is asked for: the best `words` chunks by BM25 and the best `vectors` by cosine, within the scope.

    With patterns in the scope the store returns every chunk that matches them, up to `matches`, in order of their BM25 score
    (0 where no term occurs), then repository, path and line.
    """

    scope: Scope = field(default_factory=Scope)
    terms: tuple[str, ...] = ()  # BM25 terms; one that stands twice counts twice
    term_weights: tuple[float, ...] = ()  # what each of `terms` counts, above 0; empty: 1 each
    vector: bytes | None = None
    words: int = 100
    vectors: int = 100
    matches: int = 1000
    weights: tuple[float, float, float] = (1.0, 0.8, 0.4)  # of the content, path and names fields


class Place(NamedTuple):
    """A source that shows a candidate's version of its file."""

    source: Source
    commit: str
    head: str
    modified: bool
    web: str


@dataclass(slots=True)
class Candidate:
    """A chunk that a store found, with the raw score in each leg; None where the leg did not return or compute it."""

    repo: str
    path: str
    blob: str
    language: str
    marks: tuple[str, ...]
    kind: str
    start_line: int
    end_line: int
    breadcrumb: str
    symbols: tuple[Symbol, ...]
    content_hash: str
    places: tuple[Place, ...]  # within the scope, at least one
    content: float = 0.0  # BM25 of each field, without its weight
    path_score: float = 0.0
    names: float = 0.0
    cosine: float | None = None
    handle: Any = None  # the store's own, for `texts`

    @property
    def chunk_id(self) -> str:
        """32 hex digits that name the chunk: a file version is always cut alike, so writing it twice makes the same ids."""
        from hashlib import blake2b  # 4 ms that most questions need not pay

        name = f"{self.repo}\0{self.path}\0{self.blob}\0{self.start_line}\0{self.end_line}"
        return blake2b(name.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


@dataclass(slots=True)
class Retrieved:
    """A store's answer. `total`: how many chunks match in all, exact when `exact_total`; notes are for people."""

    candidates: list[Candidate] = field(default_factory=list)
    total: int = 0
    exact_total: bool = False
    notes: list[str] = field(default_factory=list)
    times_ms: dict[str, float] = field(default_factory=dict)


# ---------------------------------------------------------------------------------------------------------------- answers


@dataclass(slots=True)
class Snippet:
    """Lines of a file, with everything needed to cite them."""

    start_line: int
    end_line: int
    text: str
    symbol: str = ""  # the name it defines first, or ""
    kind: str = ""
    breadcrumb: str = ""
    matched_lines: tuple[int, ...] = ()
    symbol_line: int = 0  # where `symbol` is defined, if reading should begin there; 0 for patterns and without a name


@dataclass(slots=True)
class Hit:
    """A file that answers, its best chunk first. Fields may be added and never change their meaning."""

    repo: str
    commit: str
    branch: str
    path: str
    start_line: int
    end_line: int
    language: str
    symbol: str
    kind: str
    score: float  # higher is better; comparable within one answer only
    url: str  # permalink on the forge, or ""
    modified: bool
    text: str
    blob: str = ""
    breadcrumb: str = ""
    marks: tuple[str, ...] = ()
    matched_lines: tuple[int, ...] = ()
    snippets: list[Snippet] = field(default_factory=list)  # up to two more chunks of the same file, or all that match
    more_matches: int = 0  # of phrases, regexes and filters alone: how many more chunks of the file match
    also_in: list[dict[str, Any]] = field(
        default_factory=list
    )  # places with the same code: repo, branch, commit, path, lines
    symbol_line: int = 0  # as in `Snippet`
    related: list[Hit] = field(default_factory=list)  # other sides of it (header, declarations, build), a chunk of each
    why: dict[str, Any] = field(default_factory=dict)  # filled when an explanation is asked for


@dataclass(slots=True)
class Answer:
    """What a search gives back. `notes` says what was skipped, degraded, stale, or why there is nothing."""

    query: str
    hits: list[Hit] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    total: int = 0
    next_cursor: str | None = None
    took_ms: float = 0.0
    times_ms: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Block:
    """One citation in a prompt: consecutive lines of one file."""

    label: str  # S1, S2, …
    repo: str
    commit: str
    branch: str
    path: str
    start_line: int
    end_line: int
    language: str
    url: str
    modified: bool
    blob: str
    text: str
    tokens: int


@dataclass(slots=True)
class Prompt:
    """A context for a language model: `text` never holds more than `budget` tokens by the counter that made it."""

    question: str
    text: str
    format: str
    tokens: int
    budget: int
    blocks: list[Block] = field(default_factory=list)
    dropped: list[dict[str, Any]] = field(default_factory=list)  # what did not fit: path, lines, reason
    notes: list[str] = field(default_factory=list)


# ----------------------------------------------------------------------------------------------------------------- checks


class DumpRow(NamedTuple):
    """One visible chunk, as `codequarry dump` prints it: equal indexes have equal rows, whatever their history."""

    repo: str
    branch: str
    path: str
    blob: str
    modified: bool
    start_line: int
    end_line: int
    kind: str
    text_hash: str
    terms_hash: str  # of terms, names, path terms and raw words
    vector_hash: str
    symbols: tuple[Symbol, ...]


class Check(NamedTuple):
    """One line of `codequarry doctor`. `hint` says what to do where `ok` is False."""

    part: str
    ok: bool
    says: str
    hint: str = ""


# --------------------------------------------------------------------------------------------------------------- indexing


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an index run is. `phase`: fetching, listing, reading, publishing. Totals are 0 until they are known.

    Adapting the model is training as well, where steps are counted in place of files.
    """

    phase: str
    source: Source | None = None
    files_done: int = 0
    files_total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    said: str = ""  # what git says while it fetches


@dataclass(slots=True)
class Report:
    """What indexing one source did. `reused`: files whose chunks were there already, from another source or a stopped run."""

    source: Source
    state: SourceState
    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    reused: int = 0
    skipped: int = 0
    bytes: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)


# ------------------------------------------------------------------------------------------------------------------- work


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository that the service keeps indexed. What is indexed of it the store knows, and the jobs say what is under way.

    `state`: active; paused (nothing is begun); gone (its address answers that there is none); denied (it asks for other
    credentials). What is indexed of one that is gone or denied stays until it is removed: a token that has run out looks the same.
    """

    repo: str  # identity: host and full path
    url: str  # what git is given; never holds credentials
    branches: tuple[str, ...] = ()  # names or globs; HEAD, or none: the default branch, whatever it is called
    include_generated: bool = False
    access: tuple[str, ...] = ()  # groups that may see it; empty: everyone
    state: str = "active"
    provider: str = ""  # github, gitlab, bitbucket, …; empty: none is known
    provider_id: str = ""  # the provider's own id, which outlives a rename
    head: str = ""  # the default branch, as the forge called it last
    note: str = ""  # why the state is what it is, for people
    told: str = (
        ""  # what a webhook said of it and the forge has not confirmed: "deleted AT", "private AT", "renamed NAME URL"
    )
    credential: str = ""  # a reference (the name of a credential), never a secret
    added_at: float = 0.0  # Unix seconds, as all times below; 0.0: not yet
    polled_at: float = 0.0  # its branches were last compared with the forge's


@dataclass(frozen=True, slots=True)
class Job:
    """What must happen to one source, and how far it is. There is one for each source, and it stays when it is done.

    A `source` with the branch "" is the repository as a whole: which branches there are is looked up at the forge, those that
    are wanted get jobs of their own, those that are gone are forgotten. Whoever hears of a push asks for that one.
    `state`: waiting, running, done, failed (not tried again by itself), cancelled.
    """

    source: Source
    url: str = ""
    wanted: str = ""  # commit that someone said there is; "": look. What is indexed is the head that the forge gives
    indexed: str = ""  # commit of the last run that succeeded
    rules: str = ""  # fingerprint of the rules that it was indexed by
    state: str = "waiting"
    queue: str = "sync"  # sync, or embed: vectors must be made by a model that only embed workers have
    reason: str = ""  # who asked: push, poll, request, recipe, …
    attempts: int = 0  # runs begun since the last success or progress, counted before the work
    reached: int = (
        0  # files that were durable when the last run began to read: the next one begins further on, or was in vain
    )
    error: str = ""  # of the last run, when it failed
    hint: str = ""
    next_try_at: float = 0.0
    owner: str = ""  # who runs it
    lease_until: float = 0.0
    epoch: int = 0  # of its last run; later runs of the repository have higher ones
    again: bool = False  # someone asked while it was running: it runs once more
    cancel: bool = False  # the run is to stop
    progress: Progress | None = None
    wanted_at: float = 0.0  # of the oldest wish that is not fulfilled; 0.0: none is open
    started_at: float = 0.0
    finished_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Hook:
    """An address that a provider posts webhooks to. `last`: a summary of its last delivery, for people."""

    id: str
    provider: str
    repo: str = ""  # the only one it speaks for; "": an organisation's hook
    secrets: tuple[str, ...] = field(default=(), repr=False)  # each of them is taken; two while they are exchanged
    added_at: float = 0.0
    last: Mapping[str, Any] = field(default_factory=dict)
