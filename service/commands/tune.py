"""`codequarry tune`: fits the ranking to a team's own questions, where that helps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codequarry.errors import BadInput
from codequarry.service.commands import add_json, add_no_refresh, open_quarry
from codequarry.service.commands.eval import add_labels, labels_of

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

    from codequarry.search.compared import Compared
    from codequarry.search.labels import Label
    from codequarry.search.tuning import Tuning
    from codequarry.service.terminal import Terminal
    from codequarry.settings import Settings

DESCRIPTION = """Fits the weights of the ranking to questions with known answers: LABELS, feedback or commits, as for codequarry
eval. The fit begins with the weights that ship and moves away from them only as far as the questions say, so a few do no harm.
Shown is NDCG@10 before and after, each question judged by weights that were fitted without its repository (with one repository:
without a tenth of its questions), and the 95 % interval of the gain.

Where the whole interval is above zero the weights are written, to the file that the setting ranking_weights names
(ranking-weights.json in the data folder); searches with these settings use them from then on, whatever the index. --write writes
them in any case, --reset takes them away. Short questions about one repository are fitted; all others rank as before.

What is gained with --from-history is shown and not written unless --write asks for it, since it does not hold for questions that
people ask: in 59 repositories weights fitted to their commits found the files of others better (NDCG@10 +.024), and answered such
questions worse (-.016)."""

EXAMPLES = """  codequarry tune labels.jsonl
  codequarry tune --from-feedback --json | jq .gain
  codequarry tune --from-history
  codequarry tune --reset"""

_SHOWN = 5  # features


def arguments(parser: ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_labels(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--write", action="store_true", help="write the weights, whether or not they help beyond chance")
    how.add_argument("--dry-run", action="store_true", help="show what would be gained, and write nothing")
    how.add_argument("--reset", action="store_true", help="take the written weights away: those that ship rank again")
    add_no_refresh(parser)
    add_json(parser, "print one JSON object: before, after, gain, interval, repositories, weights, written")


def run(args: Namespace, terminal: Terminal) -> int:
    """Fits, shows, and writes where it helps; 0 whether or not it does."""
    from pathlib import Path

    from codequarry.remote import RemoteCodeSearch
    from codequarry.search.tuning import known_questions, summary, tune, write
    from codequarry.settings import load

    if args.reset:
        return _reset(args, load(), terminal)
    with open_quarry(args) as quarry:
        if isinstance(quarry, RemoteCodeSearch):
            raise BadInput("the ranking is tuned where the index is", hint="run codequarry tune there")
        labels, notes = labels_of(args, quarry)
        notes += [] if args.no_refresh else quarry.refresh()
        quarry.engine.check_model()
        known, left_out = known_questions(labels, quarry.repositories(), quarry.store, quarry.engine.embedder)
        file = Path(quarry.settings.ranking_weights)
    notes += _by_reason(left_out) if args.from_history else _one_by_one(left_out)
    try:
        found = tune(known)
    finally:
        for note in [] if args.json else notes:
            terminal.note(note)
    is_written = args.write or (found.helps and not args.dry_run and not args.from_history)
    if is_written:
        write(file, found)
    if args.json:
        written = {"written": str(file) if is_written else None}
        terminal.json(summary(found) | written | {"left_out": len(left_out), "notes": notes})
        return 0
    terminal.lines(table(found, terminal))
    if is_written:
        terminal.say(f"written to {file}: searches use it from now on; codequarry tune --reset takes it away")
    elif found.helps and args.from_history:
        terminal.say(
            "not written: what ranks commits better ranks people's questions worse as a rule. Judge some of these"
            " (codequarry feedback), and tune to them; --write writes it in any case"
        )
    elif found.helps:
        terminal.say("not written: --dry-run")
    else:
        terminal.say("not written: the gain may be chance. More questions tell more; --write writes it in any case")
    return 0


def _one_by_one(left_out: Sequence[tuple[Label, str]]) -> list[str]:
    return [f"left out: {' '.join(label.question.split())} ({label.where}): {why}" for label, why in left_out]


def _by_reason(left_out: Sequence[tuple[Label, str]]) -> list[str]:
    from collections import Counter

    from codequarry.service.progress import counted

    reasons = Counter(why for _, why in left_out)
    return [f"left out: {counted(count, 'question')}: {why}" for why, count in reasons.most_common()]


def _reset(args: Namespace, settings: Settings, terminal: Terminal) -> int:
    from pathlib import Path

    from codequarry.search.tuning import reset

    if args.labels or args.from_feedback or args.from_history:
        raise BadInput("--reset takes no questions", hint="codequarry tune --reset")
    was_there = reset(Path(settings.ranking_weights))
    if args.json:
        terminal.json({"removed": settings.ranking_weights if was_there else None})
    else:
        terminal.say(f"removed {settings.ranking_weights}" if was_there else "the weights that ship are in use already")
    return 0


def table(found: Tuning, terminal: Terminal) -> list[str]:
    """Before and after by repository and for all, the gain, and what moved most."""
    lines = by_repository(found, terminal)
    low, high = found.interval
    lines += [
        "",
        f"NDCG@10 of held-out questions, {found.folds} folds of {found.by}: "
        f"gain {found.gain:+.3f}, 95 % interval {low:+.3f} to {high:+.3f}",
    ]
    if moved := found.moved()[:_SHOWN]:
        lines.append("moved most: " + ", ".join(f"{name} {was:+.2f} → {now:+.2f}" for name, was, now in moved))
    return lines


def by_repository(found: Compared, terminal: Terminal) -> list[str]:
    """Questions, and the measure before and after, of each repository and of all, in columns."""
    from codequarry.search.measures import mean

    rows = [["repository", "questions", "before", "after"]]
    for repo, (count, before, after) in found.by_repository().items():
        rows.append([terminal.name(repo), str(count), f"{before:.3f}", f"{after:.3f}"])
    rows.append(["all", str(len(found.before)), f"{mean(found.before):.3f}", f"{mean(found.after):.3f}"])
    widths = [max(len(row[at]) for row in rows) for at in range(4)]
    return [
        f"{row[0]:<{widths[0]}}  "
        + "  ".join(f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]
