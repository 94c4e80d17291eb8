"""A codequarry service as a `CodeSearch`: `connect("codequarry+https://search.internal", api_key=…)`.

What a service answers is what its own `CodeSearch` would have answered, as the same records, and its errors are raised as the
same errors. Repositories are indexed by the service, so `index` registers addresses there instead of reading folders here.
The standard library speaks HTTP; connections are kept alive, one for each thread that asks at the same time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from http.client import HTTPException
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from codequarry import errors
from codequarry.code_search import CodeSearch
from codequarry.connections import Connections
from codequarry.errors import BadInput, CodequarryError, ServiceError
from codequarry.settings import Settings
from codequarry.types import (
    Answer,
    Block,
    Check,
    DumpRow,
    FileText,
    Hit,
    Prompt,
    Report,
    Skipped,
    Snippet,
    Source,
    SourceState,
)

SCHEMES = ("codequarry+http", "codequarry+https")

Record = TypeVar("Record")

_ANSWER_S = 120.0
_PAGE = 1000


class Service:
    """HTTP to a service. Safe for threads.

    Raises:
        BadInput: the location is no address of a service.
    """

    def __init__(self, location: str, api_key: str = "") -> None:
        parts = urlsplit(location.removeprefix("codequarry+"))
        wrong = "" if parts.scheme in ("http", "https") and parts.hostname else "has no host"
        if parts.username or parts.password:
            wrong = "holds a password"
        elif parts.query or parts.fragment:
            wrong = "has a ? or a #"
        try:
            port = parts.port
        except ValueError:
            wrong, port = "has no readable port", None
        if wrong:
            shown = location if "@" not in location else "the address"
            raise BadInput(
                f"{shown}: an address of a service {wrong}",
                hint="like codequarry+https://search.internal; the key is given beside it (api_key, CODEQUARRY_API_KEY)",
            )
        self._connections = Connections(parts.hostname or "", port, secure=parts.scheme == "https", answer_s=_ANSWER_S)
        self._base = parts.path.rstrip("/")
        self.location = f"codequarry+{parts.scheme}://{parts.netloc}{self._base}"
        self._headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {api_key}"} if api_key else {})

    def model(self) -> None:
        """A service keeps its model to itself."""
        return

    def ask(
        self, method: str, path: str, body: Any = None, query: Mapping[str, Any] | None = None, allow: int = 0
    ) -> Any:
        """The answer, parsed; None where there is none. A status from 400 on raises, unless it is the one allowed.

        Raises:
            CodequarryError: what the service raised, by its class.
            ServiceError: it cannot be reached, or answers something else.
        """
        given = {name: value for name, value in (query or {}).items() if value is not None}
        target = f"{self._base}/v1{path}" + (f"?{urlencode(given, errors='surrogateescape')}" if given else "")
        data = None if body is None else json.dumps(body).encode()
        headers = self._headers | ({"Content-Type": "application/json"} if data else {})
        try:
            status, kind, content, _ = self._connections.exchange(method, target, data, headers)
        except (OSError, HTTPException) as error:
            raise ServiceError(
                f"the service at {self.location} cannot be reached: {error or type(error).__name__}",
                hint="is codequarry serve running there?",
                retryable=True,
            ) from error
        try:
            answer = json.loads(content) if content else None
        except ValueError:
            answer = None
        if (status < 400 or status == allow) and (answer is not None or not content):
            return answer
        if kind.startswith("application/problem+json") and isinstance(answer, dict):
            raise error_of(answer)
        raise ServiceError(
            f"{self.location} answers {status}, and not as a codequarry service does",
            hint="the address is that of the service, without /v1",
        )

    def close(self) -> None:
        """Closes the connections that nobody uses."""
        self._connections.close()


class RemoteCodeSearch(CodeSearch):
    """`CodeSearch` over a service. `store` stands for the service: it has a location and no more."""

    def __init__(self, location: str, settings: Settings, *, api_key: str = "") -> None:
        self._service = Service(location, api_key or settings.api_key)
        super().__init__(self._service, settings)  # type: ignore[arg-type]  # nothing is asked of it but what stands there

    # ------------------------------------------------------------------------------------------------------------ asking

    def search(self, query: str, *, limit: int = 10, refresh: bool = True, **options: Any) -> Answer:
        """The files that answer a query, the best first; folders on the service's disk are looked at by the service."""
        found = self._service.ask("POST", "/search", {"query": query, "limit": limit, **_asked(options)})
        found["hits"] = [_hit(hit) for hit in found["hits"]]
        return _record(Answer, found)

    def prompt(
        self, question: str, *, budget: int = 4000, format: str = "markdown", refresh: bool = True, **options: Any
    ) -> Prompt:
        """A context of at most `budget` tokens that answers the question, with citations."""
        body = {"question": question, "budget": budget, "format": format, **_asked(options)}
        found = self._service.ask("POST", "/prompt", body)
        found["blocks"] = [_record(Block, block) for block in found["blocks"]]
        return _record(Prompt, found)

    def read(
        self,
        repo: str,
        path: str,
        *,
        branch: str | None = None,
        start_line: int | None = None,
        end_line: int | None = None,
    ) -> FileText:
        """A file, or some lines of it, as the service's index has it."""
        query = {"repo": repo, "path": path, "branch": branch, "start_line": start_line, "end_line": end_line}
        found = self._service.ask("GET", "/file", query=query)
        return _record(FileText, {**found, "source": Source(found["repo"], found["branch"])})

    def feedback(self, question: str, repo: str, path: str, *, answers: bool = True) -> dict[str, Any]:
        """Has the service keep whether a file answers a question; returns what it has kept."""
        body = {"question": question, "repo": repo, "path": path, "answers": answers}
        found: dict[str, Any] = self._service.ask("POST", "/feedback", body)
        return found

    def whole_file(self, hit: Hit) -> str | None:
        """The text of the file that a hit is from, None where the service does not show that version any more."""
        try:
            file = self.read(hit.repo, hit.path, branch=hit.branch)
        except errors.NotFound:
            return None
        return file.text if file.blob == hit.blob else None

    @property
    def engine(self) -> Any:
        """What `PromptBuilder` asks for whole files."""
        return self

    # ---------------------------------------------------------------------------------------------------------- indexing

    def index(self, *specs: str | Path, branches: tuple[str, ...] | list[str] = (), **options: Any) -> list[Report]:
        """Has the service keep repositories indexed, by their addresses. It does so in time: `repositories` says how far it is.

        Raises:
            BadInput: a folder, or an option that means one.
        """
        if unknown := sorted(set(options) - {"include_generated", "progress"}):
            raise BadInput(f"a service does not take {unknown[0]!r}", hint="it knows branches and include_generated")
        generated = bool(options.get("include_generated"))
        reports = []
        for spec in specs:
            body = {"url": str(spec), "branches": list(branches), "include_generated": generated}
            found = self._service.ask("POST", "/repositories", body)
            source = Source(found["repo"], "")
            reports.append(Report(source, SourceState(source), notes=["registered with the service, which indexes it"]))
        return reports

    def refresh(self, *, progress: Any = None) -> list[str]:
        """Nothing: the service sees to it."""
        return []

    def freshen(self, state: SourceState, *, progress: Any = None) -> list[Report]:
        """Nothing: the service sees to it."""
        return []

    def forget(self, repo: str, branch: str | None = None) -> list[Source]:
        """Has the service remove a repository; returns the sources that were indexed of it.

        Raises:
            BadInput: one branch alone cannot be removed there.
        """
        if branch is not None:
            raise BadInput("a service removes whole repositories", hint="change its branches instead")
        gone = [state.source for state in self.repositories() if state.source.repo == repo]
        self._service.ask("DELETE", f"/repositories/{quote(repo.encode('utf-8', 'surrogateescape'))}")
        return gone

    # ----------------------------------------------------------------------------------------------------- looking around

    def repositories(self) -> list[SourceState]:
        """Everything that is indexed and that the key may see, with its state."""
        return [
            _record(SourceState, {**source, "source": Source(one["repo"], source["branch"])})
            for one in self._pages("/repositories", "repositories")
            for source in one["sources"]
        ]

    def skipped(self, source: Source) -> list[Skipped]:
        """What was left out of a source, and why."""
        found = self._pages("/coverage", "paths", repo=source.repo, branch=source.branch, only="skipped")
        return [Skipped(one["path"], one["reason"], one["detail"]) for one in found]

    def dump(self, source: Source | None = None) -> Iterator[DumpRow]:
        """Not over a service.

        Raises:
            BadInput: always.
        """
        raise BadInput("a service does not dump its index", hint="run codequarry dump where the index is")

    def check(self) -> list[Check]:
        """The state of the service's parts."""
        try:
            found = self._service.ask("GET", "/ready", allow=503)
        except CodequarryError as error:
            return [Check("service", False, error.message, error.hint)]
        return [_record(Check, part) for part in found["parts"]]

    def _pages(self, path: str, name: str, **query: Any) -> Iterator[dict[str, Any]]:
        """All items of a list."""
        cursor: str | None = None
        while True:
            found = self._service.ask("GET", path, query={"limit": _PAGE, "cursor": cursor, **query})
            yield from found[name]
            cursor = found["next_cursor"]
            if cursor is None:
                return


def error_of(problem: Mapping[str, Any]) -> CodequarryError:
    """The error that a problem document tells of: of the class with its code, else of the class with its status."""
    known = list(_classes(CodequarryError))
    code, status = problem.get("code"), problem.get("status")
    kind = next((one for one in known if one.code == code), None) or next(
        (one for one in known if one.status == status), CodequarryError
    )
    error = kind.__new__(kind)
    message = str(problem.get("detail", "the service failed"))
    Exception.__init__(error, message)
    error.message, error.hint = message, str(problem.get("hint", ""))
    error.__dict__.update(_extras(kind, problem))
    return error


def _extras(kind: type[CodequarryError], problem: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that only some classes have."""
    if issubclass(kind, errors.QuerySyntax):
        return {"query": str(problem.get("query", "")), "position": int(problem.get("position", 0))}
    if issubclass(kind, errors.SettingsError):
        return {"name": ""}
    if issubclass(kind, errors.Upstream):
        return {"retryable": issubclass(kind, errors.TimedOut)}
    return {"retry_after_s": 1} if issubclass(kind, errors.TooBusy) else {}


def _classes(root: type[CodequarryError]) -> Iterator[type[CodequarryError]]:
    yield root
    for below in root.__subclasses__():
        yield from _classes(below)


def _asked(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a search as JSON: those that are set; groups are those of the key, and signals are the service's business."""
    if options.get("access") is not None or options.get("off"):
        raise BadInput("a service takes neither access nor off: a caller sees what its key may see")
    given = {name: list(value) if isinstance(value, (tuple, set)) else value for name, value in options.items()}
    return {name: value for name, value in given.items() if value or (value == 0 and value is not False)}


def _hit(found: dict[str, Any]) -> Hit:
    found["related"] = [_hit(related) for related in found.get("related", ())]
    found["snippets"] = [_record(Snippet, _tuples(snippet)) for snippet in found.get("snippets", ())]
    return _record(Hit, _tuples(found))


def _tuples(found: dict[str, Any]) -> dict[str, Any]:
    for name in ("matched_lines", "marks"):
        if name in found:
            found[name] = tuple(found[name])
    return found


def _record(kind: type[Record], found: Mapping[str, Any]) -> Record:
    """The record of the fields that this version knows: a newer service may send more."""
    declared: Any = kind
    names = getattr(kind, "_fields", None) or [field.name for field in fields(declared)]
    try:
        return kind(**{name: found[name] for name in names if name in found})
    except TypeError as error:
        raise ServiceError(
            f"the service sends no {kind.__name__} that this version reads: {error}", hint="are they of one version?"
        ) from error
