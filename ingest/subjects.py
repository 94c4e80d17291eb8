"""Commits as questions: what people wrote of a change, and the source files that they changed.

The subject of a commit says in a few words what some code does or should do, and the files are known: a labelled question that
costs nothing. Only such are taken as ask for something. Merges, reverts and bots are left out, so are version bumps, formatting
and change logs; so is a commit that changed tests or documents alone, or more files than one thought needs. Numbers of issues and
the type of a conventional commit are taken off the text.

Nothing of a commit's text is indexed. But the tree that is searched holds the change already: figures from subjects are those of a
pinned tree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from hashlib import blake2b
from typing import NamedTuple

from codequarry.ingest.git import Git

MOST_FILES = 3
"""Source files of a commit that is a question: one of more has no place that answers."""

MOST_CHANGED = 20
"""Files of all kinds: one that changed more went through the whole tree."""

WORDS = (3, 20)
"""Words of a question, fewest and most."""

MOST_COMMITS = 20_000
"""The latest: what is older speaks of code that has gone."""

_TYPE = re.compile(r"^(\w+)(?:\([^)]*\))?!?:\s+")  # of a conventional commit
_TAKEN = frozenset("feat feature fix bugfix hotfix perf refactor".split())
_LEFT_OUT = frozenset("build chore ci deps doc docs release style test tests bench lint".split())

_NO_WORDS = re.compile(
    r"""
    https?://\S+
    | \b (?: fix(?:e[sd])? | close[sd]? | resolve[sd]? | refs? | see | part\ of ) :? \s+
         (?: (?: issues? | pr | bug ) \s* )? [\w./-]* [#]\d+
    | \b (?: gh | pr | issue | bug ) [-\s]? [#]? \d+ \b
    | [\w./-]* [#]\d+
    | :[a-z0-9_+-]+:  # an emoji by its name
    | [`*]
    """,
    re.IGNORECASE | re.VERBOSE,
)
_BEFORE = re.compile(r"""^(?:\s*(?:\[[^\]]*\]|\([^)]*\)|[A-Z][A-Z0-9]+-\d+(?:[:.,]|\s-)|[^\w\s(\["'/.<@$-]+))+""")
"""Tags, keys of issues and emoji that a subject begins with."""

_EMPTY = re.compile(r"\(\s*(?:,\s*)*\)|\[\s*\]")

_ROUTINE = re.compile(
    r"""
    ^(?: merge | revert | reapply | back(?:ed)?\ ?out | backport | cherry.?pick | fixup! | squash! | amend! | wip\b | tests?\b
       | initial\ (?: commit | import ) | bump | release | prepare | version | v?\d+\.\d+ | upgrade
       | update\b.*\b (?: to\ v?\d | version | deps? | submodules? )
       | apply\ .*\b suggestions | address\ .*\b (?: review | comments | feedback ) )
    | \b (?: change-?log | release\ notes | readme | docs? | documentation | docstrings? | javadocs? | rustdocs?
           | typos? | spelling | whitespaces? | indent(?:ation)? | code\ style | lint\w* | (?: re | auto )-?format\w*
           | format(?:ting|ted)\ (?: code | files ) | (?: clang | go | cargo | code | rust )[-\ ]?(?: format | fmt )
           | prettier | eslint | black | isort | ruff | flake8 | mypy | pylint | copyright | licen[cs]e\ headers?
           | tests | unit\ tests? | bump(?:s|ed)? | version\ v?\d[\w.]* | dependenc(?:y|ies) | review\ comments ) \b
    """,
    re.IGNORECASE | re.VERBOSE,
)
_BOT = re.compile(
    r"\[bot\]|\b(?:dependabot|renovate|greenkeeper|snyk|pre-commit-ci|github-actions|mergify|bors|weblate|transifex)\b|[-_ ]bot\b",
    re.IGNORECASE,
)
_STATUS = re.compile(r"\n?[ACDMRTUX]\d*")


class Subject(NamedTuple):
    """A question, the paths that answer it as the tree has them now, sorted, and the commit that they come from."""

    text: str
    paths: tuple[str, ...]
    commit: str


class _Commit(NamedTuple):
    oid: str
    author: str
    subject: str
    changed: list[tuple[str, str]]  # path before and after, the same where it was not renamed


def subjects(
    git: Git,
    folder: str,
    commit: str,
    paths: Collection[str],
    answers: Callable[[str], bool],
    *,
    limit: int,
    seed: int = 0,
) -> list[Subject]:
    """The questions of a commit's history, the latest first; at most `limit`, a sample that is the same for the same seed.

    Args:
        git: how git is run.
        folder: the repository, bare or a work tree.
        commit: the last commit that counts.
        paths: those that the searched tree has.
        answers: whether a file may answer, by its path: source code, and no test.
        limit: questions, most.
        seed: another one is another sample.

    Raises:
        GitError: there is no such repository or commit.
    """
    found: dict[str, list[Subject]] = {}
    now: dict[str, str] = {}  # what a path of the past is called in the tree
    for one in _commits(git, folder, commit):
        changed = {now.get(after, after) for _, after in one.changed if answers(after)}
        for before, after in one.changed:
            if before != after:
                now[before] = now.get(after, after)
        there = sorted(path for path in changed if path in paths)
        is_able = len(changed) <= MOST_FILES and len(one.changed) <= MOST_CHANGED and not _BOT.search(one.author)
        if there and is_able and (text := question(one.subject)):
            found.setdefault(text.lower(), []).append(Subject(text, tuple(there), one.oid))
    # What was written of several changes names none of them; the same change on two branches is one.
    able = [same[0] for same in found.values() if all(other.paths == same[0].paths for other in same)]
    taken = set(sorted(able, key=lambda one: _digest(seed, one.commit))[:limit])
    return [one for one in able if one in taken]


def question(subject: str) -> str:
    """What the subject of a commit asks for, "" where it is no question.

    >>> question("fix(router): keep the query string when redirecting (#123)")
    'keep the query string when redirecting'
    >>> question("Bump click from 8.3.1 to 8.3.2")
    ''
    """
    text = _BEFORE.sub("", _NO_WORDS.sub(" ", subject)).strip()
    if kind := _TYPE.match(text):
        if kind[1].lower() in _LEFT_OUT:
            return ""
        if kind[1].lower() in _TAKEN:
            text = text[kind.end() :]
    text = " ".join(_EMPTY.sub(" ", _BEFORE.sub("", text)).split()).strip(" .,;:-")
    low, high = WORDS
    return text if low <= len(text.split()) <= high and not _ROUTINE.search(text) else ""


def _digest(seed: int, commit: str) -> bytes:
    """Where a commit stands in the sample: new commits move no other one."""
    return blake2b(f"{seed} {commit}".encode(), digest_size=8).digest()


def _commits(git: Git, folder: str, commit: str) -> Iterator[_Commit]:
    """The commits from this one back, without merges, with the files that each changed."""
    command = (
        "log -z --no-merges --name-status -M100% --no-relative --no-ext-diff --no-show-signature --no-notes".split()
    )
    command += [f"--max-count={MOST_COMMITS}", "--format=%H%x01%an <%ae>%x01%s", "--encoding=UTF-8"]
    command += ["--no-color", "--no-decorate", "--end-of-options", commit, "--"]
    with closing(git.records(command, cwd=folder)) as records:
        one: _Commit | None = None
        for record in records:
            if one is not None and _STATUS.fullmatch(status := record.decode("ascii", "replace")):
                before = after = _path(next(records))
                if status.strip()[0] in "RC":
                    after = _path(next(records))
                one.changed.append((before, after))
            elif record:
                if one is not None:
                    yield one
                oid, author, subject = record.decode("utf-8", "replace").split("\x01", 2)
                one = _Commit(oid, author, subject, [])
        if one is not None:
            yield one


def _path(record: bytes) -> str:
    return record.decode("utf-8", "surrogateescape")
