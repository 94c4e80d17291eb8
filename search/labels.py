"""Questions with the files that answer them, as people write them down: what search is measured on, and weights are fitted to.

A file of labels has one JSON object a line:

    {"question": "where are retries configured", "repo": "acme/api", "targets": ["src/retry.py", {"path": "src/x.go", "line": 40}]}

`repo` may be left out; then all repositories are asked. A target is a path, or a path with `line`, or with `start_line` and
`end_line`. The form of the benches is read as well: one JSON array of repositories {"name", "github", "queries": [{"query",
"relevant", "secondary"}]}, whose secondary targets count half as much where weights are fitted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codequarry.errors import BadInput, PathNotFound

MOST_BYTES = 64 << 20
"""A larger file is none of labels."""

PRIMARY, SECONDARY = 2.0, 1.0
"""What a target is worth where weights are fitted."""

_FORM = 'like {"question": "where are retries configured", "repo": "acme/api", "targets": ["src/retry.py"]}'
_KEYS = ("question", "repo", "targets")


@dataclass(frozen=True)
class Label:
    """One question with the places that answer it: mappings of path, start_line and end_line, the lines None for the whole file.

    `repos` are the names its repository may have in an index, any of which will do; none: all repositories are asked. `where`:
    the place it is written at. `plain`: it is asked as it stands, and no filter is read in it.
    """

    question: str
    repos: tuple[str, ...]
    relevant: tuple[Mapping[str, Any], ...]
    secondary: tuple[Mapping[str, Any], ...] = ()
    where: str = ""
    plain: bool = False

    @property
    def targets(self) -> tuple[Mapping[str, Any], ...]:
        """All places that answer."""
        return self.relevant + self.secondary


def read_labels(file: Path) -> list[Label]:
    """The questions of a file of labels, in either form.

    Raises:
        BadInput: what is not a label, with the file, the line and what is expected there.
        PathNotFound: there is no such file.
    """
    try:
        data = file.read_bytes() if file.stat().st_size <= MOST_BYTES else None
    except FileNotFoundError as error:
        raise PathNotFound(f"there is no file {file}", hint=f"it has one question a line, {_FORM}") from error
    except OSError as error:
        raise BadInput(f"cannot read {file}: {error.strerror}", hint="it is a file of labelled questions") from error
    if data is None:
        raise BadInput(f"{file} has more than {MOST_BYTES >> 20} MiB", hint="it should have one question a line")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{file}:{line} is not UTF-8", hint=f"one JSON object a line, {_FORM}") from error
    found = _of_bench(text, str(file)) if text.lstrip().startswith("[") else _of_lines(text, str(file))
    if not found:
        raise BadInput(f"{file} has no questions", hint=f"one JSON object a line, {_FORM}")
    return found


def _of_lines(text: str, file: str) -> list[Label]:
    # Not splitlines(): other characters that end a line may stand within a JSON text.
    return [_label(line, f"{file}:{number}") for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def _label(line: str, where: str) -> Label:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where} is not JSON: {error}", hint=f"one JSON object a line, {_FORM}") from error
    if not isinstance(row, dict):
        raise _wrong(where, "is no JSON object")
    if unknown := sorted(set(row) - set(_KEYS)):
        raise _wrong(where, f"has an unknown field {unknown[0]!r}")
    question = _text(row, "question", where)
    repo = row.get("repo")
    if repo is not None and not (isinstance(repo, str) and repo.strip()):
        raise _wrong(where, "has a repo that is no name of a repository")
    return Label(question, (repo,) if repo else (), _targets(row, "targets", where), where=where)


def _of_bench(text: str, file: str) -> list[Label]:
    try:
        repositories = json.loads(text)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise BadInput(f"{file}:{line} is not JSON: {error}", hint=f"one JSON object a line, {_FORM}") from error
    found = []
    for number, one in enumerate(repositories, 1):
        where = f"{file}, repository {number}"
        if not isinstance(one, dict) or not isinstance(one.get("queries"), list):
            hint = 'an array is one of repositories, {"name": …, "queries": [{"query": …, "relevant": [{"path": …}]}]}'
            raise BadInput(f'{where} has no list of "queries"', hint=f"{hint}; else one JSON object a line, {_FORM}")
        # By its full name where it has one: two repositories may share the last part.
        names = tuple(
            dict.fromkeys(name for key in ("github", "name") if isinstance(name := one.get(key), str) and name)
        )
        for at, query in enumerate(one["queries"], 1):
            place = f"{where}, query {at}"
            if not isinstance(query, dict):
                raise _wrong(place, "is no JSON object")
            relevant = _targets(query, "relevant", place)
            secondary = _targets(query, "secondary", place) if query.get("secondary") else ()
            found.append(Label(_text(query, "query", place), names, relevant, secondary, place))
    return found


def _text(row: Mapping[str, Any], name: str, where: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        raise _wrong(where, f"has no text as {name!r}")
    return value


def _targets(row: Mapping[str, Any], name: str, where: str) -> tuple[Mapping[str, Any], ...]:
    given = row.get(name)
    if not isinstance(given, list) or not given:
        raise _wrong(where, f"has no list of {name!r}")
    # The same place twice would count as two that must be found.
    return tuple({tuple(target.values()): target for target in (_target(one, where) for one in given)}.values())


def _target(given: object, where: str) -> dict[str, Any]:
    row = {"path": given} if isinstance(given, str) else given
    if not isinstance(row, dict) or not isinstance(row.get("path"), str) or not row["path"].strip("/"):
        raise _wrong(where, "has a target without a path")
    start = row.get("start_line", row.get("line"))
    end = row.get("end_line", start)
    for line in (start, end):
        if line is not None and (not isinstance(line, int) or isinstance(line, bool) or line < 1):
            raise _wrong(where, f"has a target whose line is {line!r}, not a number from 1")
    if start is not None and end is not None and end < start:
        raise _wrong(where, f"has a target that ends, at line {end}, before it begins, at line {start}")
    return {"path": row["path"].removeprefix("./").lstrip("/"), "start_line": start, "end_line": end}


def _wrong(where: str, what: str) -> BadInput:
    return BadInput(f"{where} {what}", hint=f"what is expected is {_FORM}")


def of_judgements(rows: Iterable[Mapping[str, Any]]) -> tuple[list[Label], int]:
    """The questions for which a file was judged right, and how many have only wrong ones, which measure nothing.

    `rows` are judgements in the order in which they were made: question, repo, path, answers. A later one of the same file
    takes the place of an earlier one.
    """
    of_question: dict[tuple[str, str], dict[str, bool]] = {}
    for row in rows:
        of_question.setdefault((row["question"], row["repo"]), {})[row["path"]] = row["answers"]
    found = [
        Label(
            question,
            (repo,),
            tuple({"path": path, "start_line": None, "end_line": None} for path, answers in judged.items() if answers),
            where="feedback",
        )
        for (question, repo), judged in of_question.items()
        if any(judged.values())
    ]
    return found, len(of_question) - len(found)
