"""`codequarry adapt`: fine-tunes the code model to a team's own repositories, where that helps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codequarry.errors import BadInput
from codequarry.service.commands import add_json, add_no_refresh, open_quarry
from codequarry.service.commands.eval import labels_of
from codequarry.service.commands.tune import by_repository

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from codequarry.code_search import CodeSearch
    from codequarry.search.adapting import Adaptation
    from codequarry.search.compared import Compared
    from codequarry.search.labels import Label
    from codequarry.service.progress import Meter
    from codequarry.service.terminal import Terminal

DESCRIPTION = """Fine-tunes the code model that ships to the code of the indexed repositories, or of those named: minutes on one
core, with NumPy alone. It learns from the repositories' own documentation and comments which code they speak of, and gives rows
to words that the team uses and the model does not know. It stays near the model that ships.

Shown is NDCG@10 before and after: sentences of files that were not learnt from are asked for their file among all of their
repository by words and vectors, with the sentence itself taken out of the code; and the 95 % interval of the gain. With --labels,
--from-feedback (which is the default where there are judgements) or --from-history whole searches are measured too, before by the
index as it is and after by a copy with the new model, which is removed again.

Where the whole interval of the gain is above zero, and labelled questions do not lose beyond chance, the model is written to a new
folder; --write writes it in any case. Nothing uses it before `model = "code:FOLDER"` is set and the repositories are indexed
again into another place: an index has one model."""

EXAMPLES = """  codequarry adapt
  codequarry adapt acme/api acme/web --labels labels.jsonl
  codequarry adapt --dry-run --json | jq .gain
  codequarry adapt --out ~/models/acme"""

_EXAMPLES_SHOWN = 8  # terms


def arguments(parser: ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("repos", nargs="*", metavar="REPO", help="only these of the indexed repositories")
    parser.add_argument(
        "--labels", metavar="FILE", help="also measure searches on these questions, as codequarry eval takes them"
    )
    parser.add_argument(
        "--from-feedback", action="store_true", help="also measure searches on questions that people have judged"
    )
    parser.add_argument("--from-history", action="store_true", help="also measure searches on the subjects of commits")
    parser.add_argument("--out", metavar="FOLDER", help="the new folder of the model (models/NAME in the data folder)")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--write", action="store_true", help="write the model, whether or not it helps beyond chance")
    how.add_argument("--dry-run", action="store_true", help="show what would be gained, and write nothing")
    add_no_refresh(parser)
    add_json(parser, "print one JSON object: before, after, gain, interval, repositories, searches, written, model")


def run(args: Namespace, terminal: Terminal) -> int:
    """Adapts, shows, and writes where it helps; 0 whether or not it does."""
    from pathlib import Path

    from codequarry.remote import RemoteCodeSearch
    from codequarry.search.adapting import adapt, summary, write
    from codequarry.service.commands import chosen, repository_of
    from codequarry.service.progress import Meter

    meter = Meter(terminal)
    with open_quarry(args) as quarry:
        if isinstance(quarry, RemoteCodeSearch):
            raise BadInput("the model is adapted where the index is", hint="run codequarry adapt there")
        out = Path(args.out).expanduser().absolute() if args.out else None
        if out is not None and out.exists() and not args.dry_run:
            raise BadInput(f"{out} exists", hint="name a new folder: an index may use the model in the old one")
        labels, notes = _labels(args, quarry)
        notes += [] if args.no_refresh else quarry.refresh()
        states = quarry.repositories()
        if args.repos:
            states = [state for name in dict.fromkeys(args.repos) for state in chosen(states, repository_of(name))]
        try:
            found = adapt(quarry.store, list(dict.fromkeys(states)), meter)
            searches = _searches(quarry, found, labels, meter) if labels else None
        except KeyboardInterrupt:
            meter.clear()
            terminal.say("codequarry: interrupted; nothing was written")
            return 130
        finally:
            meter.clear()
        folder = out or quarry.settings.data_dir / "models" / f"code-{found.content}"
    harms = searches is not None and searches.interval[1] < 0
    is_written = args.write or (found.together.helps and not harms and not args.dry_run)
    if is_written and not (out is None and folder.exists()):  # the name of a folder says what is in it
        write(folder, found)
    if args.json:
        terminal.json(
            {
                **summary(found),
                "searches": searches.compared() if searches else None,
                "written": str(folder) if is_written else None,
                "model": f"code:{folder}" if is_written else None,
                "notes": notes,
            }
        )
        return 0
    for note in notes:
        terminal.note(note)
    terminal.lines(table(found, searches, terminal))
    if is_written:
        terminal.say(
            f"written to {folder}. To use it: set CODEQUARRY_MODEL=code:{folder}, or model in codequarry.toml, and"
        )
        terminal.say("  index the repositories again into another place (--store), since an index has one model")
    elif harms:
        terminal.say("not written: labelled questions are answered worse; --write writes it in any case")
    elif found.together.helps:
        terminal.say("not written: --dry-run")
    else:
        terminal.say(
            "not written: the gain may be chance. More documented code tells more; --write writes it in any case"
        )
    return 0


def _labels(args: Namespace, quarry: CodeSearch) -> tuple[list[Label], list[str]]:
    """The questions that searches are measured on, none where there are none, and notes on those that cannot be asked."""
    from codequarry.service.feedback import FILE

    is_asked_for = args.labels or args.from_feedback or args.from_history
    if not is_asked_for:
        if not (quarry.settings.data_dir / FILE).is_file():
            return [], []
        args.from_feedback = True
    try:
        return labels_of(args, quarry)
    except BadInput as error:
        if is_asked_for:
            raise
        return [], [f"searches are not measured: {error.message}"]


def _searches(quarry: CodeSearch, found: Adaptation, labels: list[Label], meter: Meter) -> Compared:
    """NDCG@10 of the questions by the index as it is, and by a copy of it with the adapted model."""
    import tempfile
    from pathlib import Path

    from codequarry.models import open_embedder
    from codequarry.search.adapting import Searches, write
    from codequarry.search.evaluation import evaluate
    from codequarry.service.reindexed import reindexed

    before = evaluate(labels, quarry.repositories(), quarry.search)
    with tempfile.TemporaryDirectory(prefix="codequarry-") as folder:
        write(Path(folder) / "model", found)
        with reindexed(quarry, open_embedder(f"code:{folder}/model"), meter) as copy:
            after = evaluate(labels, copy.repositories(), copy.search)
    return Searches((before, after))


def table(found: Adaptation, searches: Compared | None, terminal: Terminal) -> list[str]:
    """Before and after of held-out sentences and of searches, the gains, and what was learnt from."""
    from codequarry.search.measures import mean
    from codequarry.service.progress import counted

    lines = [
        *by_repository(found.together, terminal),
        "",
        f"NDCG@10 of sentences of held-out files, by words and vectors: {_gain(found.together)}",
        f"by vectors alone: {mean(found.alone.before):.3f} → {mean(found.alone.after):.3f}, {_gain(found.alone)}",
    ]
    if searches is not None:
        lines += [
            "",
            *by_repository(searches, terminal),
            "",
            f"NDCG@10 of searches for labelled questions: {_gain(searches)}",
        ]
    files, sentences = sum(row[1] for row in found.read), sum(row[2] for row in found.read)
    learnt = f"learnt from {counted(sentences, 'sentence')} about code in {counted(files, 'file')}"
    if found.new_terms:
        words = ", ".join(map(terminal.name, found.examples(_EXAMPLES_SHOWN)))
        learnt += f"; {counted(found.new_terms, 'new word')}, most often {words}"
    return [*lines, learnt]


def _gain(found: Compared) -> str:
    low, high = found.interval
    return f"gain {found.gain:+.3f}, 95 % interval {low:+.3f} to {high:+.3f}"
