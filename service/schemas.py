"""What REST takes and gives, as the OpenAPI document describes it.

Requests are checked against these; answers are made of the records of `codequarry.types`, and a test checks that they fit.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from codequarry.search.query import FILTERS
from codequarry.service.feedback import MOST_QUESTION

Text = Annotated[str, Field(max_length=1000)]
Some = Text | Annotated[list[Text], Field(max_length=100)] | None
Cursor = Annotated[str, Field(pattern=r"^[0-9]{1,6}$", description="The next_cursor of the answer before.")]
Repo = Annotated[str, Field(min_length=1, max_length=1000, description="Full name: host and path.")]
Branch = Annotated[str, Field(max_length=1000)]
_EXAMPLE = "github.com/acme/api"


class Asked(BaseModel):
    """A request: fields that are not known are refused, so that a misspelt filter never finds everything."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Filtered(Asked):
    """The filters; of several values of one any will do, several filters must all hold."""

    repo: Some = Field(None, description="Full name of a repository, the end of it, or a glob.")
    lang: Some = Field(None, description="Language, such as python.")
    path: Some = Field(None, description="Path glob: * within a folder, ** over folders.")
    branch: Some = Field(None, description="Branch, in place of each repository's default.")
    kind: Some = Field(None, description="Kind of chunk or definition: code, docs, config, function, class, …")
    symbol: Some = Field(None, description="Name that is defined; case counts.")
    plain: bool = Field(False, description="Take the query as text: nothing in it is syntax.")

    def filters(self) -> dict[str, Any]:
        """Those that are set, as `Engine.search` takes them."""
        return {name: value for name in FILTERS if (value := getattr(self, name))}


class SearchRequest(Filtered):
    """A search."""

    query: str = Field(min_length=1, max_length=65536, description="In the query language of docs/query.md.")
    limit: int = Field(10, ge=1, le=100)
    cursor: Cursor | None = None
    syntax: bool = Field(False, description="Read filters also in a query that is long or has line breaks.")
    explain: bool = Field(False, description="Say in `why` where each hit's score is from.")
    all_matches: bool = Field(
        False,
        description="Of phrases and regular expressions: every chunk of a file that matches, not the first three.",
    )

    def options(self) -> dict[str, Any]:
        """All but the query, as `Backend.search` takes it."""
        return {
            "limit": self.limit,
            "cursor": self.cursor,
            "explain": self.explain,
            "all_matches": self.all_matches,
            "plain": self.plain,
            "syntax": self.syntax,
            "filters": self.filters(),
        }

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"query": "where are retries configured", "lang": "python", "limit": 3}]},
    )


class PromptRequest(Filtered):
    """A context for a language model."""

    question: str = Field(min_length=1, max_length=65536)
    budget: int = Field(4000, ge=1, le=200_000, description="The most tokens that the text may have.")
    format: Literal["markdown", "xml", "json"] = "markdown"

    def options(self) -> dict[str, Any]:
        """All but the question, as `Backend.prompt` takes it."""
        return {"budget": self.budget, "format": self.format, "plain": self.plain, "filters": self.filters()}

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"question": "how does a client retry?", "budget": 1000}]}
    )


class FeedbackRequest(Asked):
    """Whether a file answers a question. It is kept in the service's data folder, without who said so: send no secrets."""

    question: str = Field(
        min_length=1, max_length=MOST_QUESTION, description="As it was asked. It is kept: no secrets."
    )
    repo: Repo
    path: str = Field(min_length=1, max_length=4096, description="From the repository's root.")
    answers: bool = Field(True, description="Whether the file answers the question.")

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"question": "where are retries configured", "repo": _EXAMPLE, "path": "src/retry.py"}]
        },
    )


class RepositoryRequest(Asked):
    """A repository to keep indexed."""

    url: str = Field(min_length=1, max_length=2000, description="What git is given; no user name and password in it.")
    branches: list[Branch] = Field([], max_length=100, description="Names or globs; none: the default branch.")
    include_generated: bool = Field(False, description="Also index what is marked as generated or vendored.")
    access: list[Text] = Field([], max_length=100, description="Groups that may see it; none: everyone.")
    credential: Text = Field("", description="Name of a credential that the service has; never the credential itself.")

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"url": "https://example.org/acme/shop.git", "branches": ["main"]}]},
    )


class RepositoryChange(Asked):
    """What to change of a repository; what is left out stays."""

    branches: list[Branch] | None = Field(None, max_length=100)
    include_generated: bool | None = None
    access: list[Text] | None = Field(None, max_length=100)
    credential: Text | None = None
    state: Literal["active", "paused"] | None = None

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"state": "paused"}]})


class JobRequest(Asked):
    """A repository to look at now."""

    repo: Repo
    commit: str = Field("", pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})?$", description="That there is; empty: look.")

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"repo": _EXAMPLE}]})


class JobName(Asked):
    """A job, by what it works on."""

    repo: Repo
    branch: Branch = Field("", description="Empty: the repository as a whole, where its branches are looked up.")

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"repo": _EXAMPLE}]})


# ---------------------------------------------------------------------------------------------------------------- answers


class FileAnswer(BaseModel):
    """A file, or some lines of it, as indexed."""

    repo: str
    branch: str
    commit: str
    path: str
    blob: str
    language: str
    text: str
    modified: bool
    start_line: int
    end_line: int


class FeedbackAnswer(BaseModel):
    """A judgement as it was kept."""

    question: str
    repo: str
    path: str
    answers: bool
    at: str = Field(description="When, in UTC.")


class SourceAnswer(BaseModel):
    """A branch, or a folder on the disk of the service, as indexed."""

    branch: str
    commit: str
    head: str
    default: bool
    files: int
    chunks: int
    size_bytes: int
    skipped: int
    indexed_at: float = Field(description="Unix seconds; 0: never yet.")
    building: bool = Field(description="It is being indexed.")
    web: str


class ProgressAnswer(BaseModel):
    """How far a run is."""

    phase: str
    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int
    said: str


class JobAnswer(BaseModel):
    """What must happen to a branch, or to a repository as a whole (branch "")."""

    repo: str
    branch: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    queue: str
    reason: str
    wanted: str
    indexed: str
    attempts: int
    error: str
    hint: str
    again: bool
    cancel: bool
    owner: str
    epoch: int
    progress: ProgressAnswer | None
    next_try_at: float
    wanted_at: float
    started_at: float
    finished_at: float


class RepositoryAnswer(BaseModel):
    """A repository: what is wanted of it, what is indexed, what is under way."""

    repo: str
    ready: bool = Field(description="All that is wanted of it has been indexed at least once.")
    why: str = Field(description="Why it is not ready, or what is wrong with it; else empty.")
    lag_s: float = Field(description="How long the oldest wish for it has been open, in seconds.")
    registered: bool
    url: str
    state: str = Field(description="active, paused, gone or denied; empty: not registered.")
    note: str
    provider: str
    branches: list[str]
    include_generated: bool
    access: list[str]
    credential: str
    added_at: float
    polled_at: float
    sources: list[SourceAnswer]
    jobs: list[JobAnswer]


class RepositoriesAnswer(BaseModel):
    """Repositories, by name."""

    repositories: list[RepositoryAnswer]
    total: int
    next_cursor: str | None


class JobsAnswer(BaseModel):
    """Jobs, by repository and branch."""

    jobs: list[JobAnswer]
    total: int
    next_cursor: str | None


class PathAnswer(BaseModel):
    """A path of a repository: indexed, or not and why."""

    path: str
    indexed: bool
    reason: str
    detail: str


class CoverageAnswer(BaseModel):
    """What of a source is indexed, and what is not, with the reason."""

    repo: str
    branch: str
    commit: str
    complete: bool = Field(description="The source has been indexed as a whole; False while it is for the first time.")
    files: int
    skipped: int
    reasons: dict[str, int]
    paths: list[PathAnswer]
    next_cursor: str | None


class HealthAnswer(BaseModel):
    """That the process answers."""

    status: Literal["ok"]
    version: str


class PartAnswer(BaseModel):
    """A part that the service needs."""

    part: str
    ok: bool
    says: str
    hint: str


class ReadyAnswer(BaseModel):
    """Whether searches can be answered now. What is wrong is said to callers with a key alone."""

    ready: bool
    parts: list[PartAnswer]


class Place(BaseModel):
    """An argument that does not fit."""

    at: str
    says: str


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str
    request_id: str
    query: str | None = None
    position: int | None = None
    errors: list[Place] | None = None
