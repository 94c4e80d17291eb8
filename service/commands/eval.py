"""`codequarry eval`: how well the index answers questions whose answers are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codequarry.errors import BadInput
from codequarry.service.commands import add_json, add_no_refresh, open_quarry

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Mapping, Sequence

    from codequarry.code_search import CodeSearch
    from codequarry.search.evaluation import Evaluation, Judged
    from codequarry.search.labels import Label
    from codequarry.service.terminal import Terminal

DESCRIPTION = """Measures search on questions of one's own: asks each as it stands and compares the hits with the files that
answer it. Shown are NDCG@10, whether a right file is the first hit or among the first five (hit@1, hit@5), and which part of
the right files is among the first ten (recall@10), for each repository and for all, then the questions for which none of
them is found.

LABELS has one JSON object a line: {"question": "…", "repo": "acme/api", "targets": ["src/retry.py"]}. Without "repo" all
repositories are asked; a target is a path, or {"path": "…", "line": 40}, or {"path": "…", "start_line": 40, "end_line": 60}.
--from-feedback takes the questions that codequarry feedback and POST /v1/feedback have kept in the data folder. --from-history
takes the subjects of commits as questions, each with the one to three source files that it changed: many, and free, but the code
that is searched has the change already, and many a subject says too little to find its file. Figures from them compare settings;
they are not those of questions that people ask."""

EXAMPLES = """  codequarry eval labels.jsonl
  codequarry eval labels.jsonl --json | jq '.missed[].question'
  codequarry eval --from-feedback
  codequarry eval --from-history --json | jq .all"""

_SHOWN = 3  # paths of a question that was missed


def arguments(parser: ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_labels(parser)
    add_no_refresh(parser)
    add_json(parser, "print one JSON object: all, repositories, missed, left_out")


def add_labels(parser: ArgumentParser) -> None:
    """The labels, or the options to take feedback or commits in their place. `labels_of` reads them."""
    parser.add_argument("labels", nargs="?", metavar="LABELS", help="the file of questions with their answers")
    parser.add_argument("--from-feedback", action="store_true", help="the questions that people have judged")
    parser.add_argument(
        "--from-history", action="store_true", help="the subjects of commits, with the source files that they changed"
    )


def labels_of(args: Namespace, quarry: CodeSearch) -> tuple[list[Label], list[str]]:
    """The questions, and notes on what gives none: judgements without a right answer, repositories without history.

    Raises:
        BadInput: none or several are asked for; or the file cannot be used, with the line.
    """
    from pathlib import Path

    from codequarry.search.labels import of_judgements, read_labels

    if sum(map(bool, (args.labels, args.from_feedback, args.from_history))) != 1:
        given = args.labels or args.from_feedback or args.from_history
        raise BadInput(
            "a file of labels, --from-feedback and --from-history are sets of questions each"
            if given
            else "which questions?",
            hint="give a file of labels, or --from-feedback, or --from-history",
        )
    if args.labels:
        return read_labels(Path(args.labels)), []
    from codequarry.remote import RemoteCodeSearch

    if isinstance(quarry, RemoteCodeSearch):
        kept_where = "the judgements that a service has kept are in its own data folder"
        raise BadInput(
            kept_where if args.from_feedback else "the history of repositories is read where they are",
            hint="run this where the service runs",
        )
    if args.from_history:
        from codequarry.service.history import labels_of_commits

        return labels_of_commits(quarry.repositories(), quarry.store)
    from codequarry.service.feedback import kept
    from codequarry.service.progress import counted

    found, without = of_judgements(kept(quarry.settings.data_dir))
    if not found:
        raise BadInput(
            f"of {without} questions with judgements none has a right answer", hint="judge files that answer them, too"
        )
    return found, [
        f"{counted(without, 'question')} with judgements but no right answer: nothing to go by"
    ] if without else []


def run(args: Namespace, terminal: Terminal) -> int:
    """Measures; 0 whatever the figures are."""
    from codequarry.search.evaluation import evaluate, unknown_targets

    with open_quarry(args) as quarry:
        labels, notes = labels_of(args, quarry)
        notes += [] if args.no_refresh else quarry.refresh()
        found = evaluate(labels, quarry.repositories(), quarry.search)
        unknown = unknown_targets(found, _paths_of(quarry))
    if args.json:
        terminal.json(_as_json(found, unknown, notes))
        return 0
    terminal.lines(table(found, terminal))
    terminal.lines(["", f"NDCG@10 {found.means()['ndcg']:.3f}, {_within(found)}, {_questions(found.judged)}"])
    if missed := [row for row in found.judged if row.is_missed]:
        terminal.lines(["", "missed, no right file among ten hits:"])
        for row in missed:
            terminal.lines(
                [
                    f"  {terminal.name(' '.join(row.label.question.split()))}  ({terminal.name(row.label.where)})",
                    f"    wanted {_listed(_wanted(row), terminal)}",
                    f"    found  {_listed(row.paths, terminal) or 'nothing'}",
                ]
            )
    for label, why in found.left_out:
        notes.append(f"not asked: {' '.join(label.question.split())} ({label.where}): {why}")
    for row, path in unknown:
        notes.append(f"no indexed file is {path}, which {row.label.where or 'a question'} wants")
    for note in notes:
        terminal.note(note)
    return 0


def table(found: Evaluation, terminal: Terminal) -> list[str]:
    """A line for each repository and one for all, in columns."""
    from codequarry.search.evaluation import MEASURES

    rows = [["repository", "questions", "NDCG@10", *MEASURES[1:]]]
    groups = {name or "(all repositories)": judged for name, judged in found.by_repository().items()}
    for name, judged in (groups | {"all": found.judged}).items():
        means = found.means(judged)
        rows.append([terminal.name(name), str(len(judged)), *(f"{means[one]:.3f}" for one in MEASURES)])
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [
        "  ".join(
            [f"{row[0]:<{widths[0]}}", *(f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]


def _paths_of(quarry: CodeSearch) -> Any:
    """All paths that a repository of that name shows; None over a service, which is asked for single files."""
    from codequarry.remote import RemoteCodeSearch

    if isinstance(quarry, RemoteCodeSearch):
        return None

    def paths(repo: str) -> set[str]:
        from codequarry.service.commands import chosen

        states = chosen(quarry.repositories(), repo or None)
        return {path for state in states for path in quarry.store.paths(state.source)}

    return paths


def _as_json(found: Evaluation, unknown: Sequence[tuple[Judged, str]], notes: Sequence[str]) -> dict[str, Any]:
    return {
        "all": {"questions": len(found.judged), **_named(found.means()), "ndcg@10_interval": _rounded(found.interval)},
        "repositories": {
            name: {"questions": len(judged), **_named(found.means(judged))}
            for name, judged in found.by_repository().items()
        },
        "missed": [
            {
                "question": row.label.question,
                "repo": row.repo,
                "where": row.label.where,
                "wanted": _wanted(row),
                "found": list(row.paths),
            }
            for row in found.judged
            if row.is_missed
        ],
        "left_out": [{"question": label.question, "where": label.where, "why": why} for label, why in found.left_out],
        "not_indexed": [{"question": row.label.question, "repo": row.repo, "path": path} for row, path in unknown],
        "notes": list(notes),
    }


def _rounded(ends: tuple[float, float] | None) -> list[float] | None:
    return None if ends is None else [round(end, 4) for end in ends]


def _named(means: Mapping[str, float]) -> dict[str, float]:
    return {"ndcg@10" if name == "ndcg" else name: round(value, 4) for name, value in means.items()}


def _wanted(row: Judged) -> list[str]:
    return [target["path"] for target in row.label.targets]


def _listed(paths: Sequence[str], terminal: Terminal) -> str:
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(map(terminal.name, paths[:_SHOWN])) + more


def _within(found: Evaluation) -> str:
    if (ends := found.interval) is None:
        return "too few questions for an interval"
    return f"95 % interval {ends[0]:.3f} to {ends[1]:.3f}"


def _questions(judged: Sequence[Judged]) -> str:
    from codequarry.service.progress import counted

    return counted(len(judged), "question")
