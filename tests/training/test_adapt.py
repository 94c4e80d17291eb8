"""The shipped table adapted to a team's code: it learns what that says, elsewhere stays what it was, and is the same each time."""

from __future__ import annotations

import numpy as np
import pytest

from codequarry.models import SHIPPED
from codequarry.models.tables import read_table
from codequarry.models.terms import FILES
from codequarry.models.training import adapt
from codequarry.models.training.corpus import Part
from codequarry.models.vectors import digest

NAMES = {  # what the code calls a thing, and what people say of it
    "qzam": "amber resin glow sap",
    "qzbi": "birch bark paper white",
    "qzce": "cedar chest moth scent",
    "qzde": "delta river mud reed",
    "qzem": "ember ash spark coal",
    "qzfj": "fjord cliff boat tide",
    "qzgr": "grove shade moss fern",
    "qzha": "haven harbour rope mast",
}


def parts(copies: int = 6) -> list[Part]:
    """A repository whose comments say in words what its code calls by names of its own; of each thing there are several files."""
    part = Part("team")
    for name, words in NAMES.items():
        for copy in range(copies):
            source = (
                f'import os\n\n\ndef step(shelf):\n    """{words.capitalize()}."""\n'
                f"    item = {name}.take({name}.first)\n    shelf.append(item)\n    return {name}.count(shelf)\n"
            )
            part.add(f"src/{name}_{copy}.py", source, len(part.lines))
    return [part]


@pytest.fixture(scope="module")
def beginning():
    return adapt.begin(read_table(SHIPPED, FILES[3]), parts())


@pytest.fixture(scope="module")
def adapted(beginning):
    told = []
    found, table = adapt.adapt(beginning, lambda done, steps: told.append((done, steps)))
    return found, table, told


def test_words_that_only_the_team_uses_have_rows_in_the_order_of_the_vocabulary(beginning):
    new = [term for term, is_new in zip(beginning.corpus.terms, beginning.is_new, strict=True) if is_new]
    assert set(NAMES) <= set(new)
    assert beginning.corpus.terms == sorted(beginning.corpus.terms, key=str.encode)
    assert len(beginning.corpus.terms) == 40_000 + len(new)


def test_a_table_that_nothing_was_done_to_is_the_shipped_one_byte_for_byte(beginning):
    assert digest(*adapt.as_integers(beginning, beginning.table)) == beginning.shipped.content


def test_what_the_comments_of_other_files_say_is_found_in_files_that_were_not_learnt_from(adapted):
    found, _, _ = adapted
    assert len(found) == len(NAMES) * 6
    for scores in ([one.together for one in found], [one.alone for one in found]):
        before, after = np.mean(scores, axis=0)
        assert after > before + 0.1


def test_rows_that_no_file_of_the_team_has_stay_as_they_ship(beginning, adapted):
    _, table, _ = adapted
    rows, weights, terms = adapt.as_integers(beginning, table)
    lines = terms.decode().split("\n")
    counts = adapt.counts_of(beginning.corpus)
    path_terms = set(beginning.corpus.paths.tolist())
    absent = [
        row
        for row, count in enumerate(counts.tolist())
        if not count and not beginning.is_new[row] and row not in path_terms
    ]
    shipped = beginning.shipped
    of_shipped = {term: row for row, term in enumerate(shipped.lines.decode().split("\n"))}
    of_adapted = {term: row for row, term in enumerate(lines)}
    assert len(absent) > 39_000
    for row in absent[::500]:
        term = beginning.corpus.terms[row]
        ours, theirs = of_adapted[term], of_shipped[term]
        assert weights[ours] == shipped.weights[theirs]
        assert rows[ours * 256 : ours * 256 + 256] == bytes(shipped.rows.cast("B")[theirs * 256 : theirs * 256 + 256])


def test_equal_code_gives_equal_bytes_and_other_code_others(beginning, adapted):
    _, table, _ = adapted
    first = digest(*adapt.as_integers(beginning, table))
    again = adapt.begin(beginning.shipped, parts())
    _, table = adapt.adapt(again, lambda done, steps: None)
    assert digest(*adapt.as_integers(again, table)) == first
    other = adapt.begin(beginning.shipped, parts(copies=5))
    _, table = adapt.adapt(other, lambda done, steps: None)
    assert digest(*adapt.as_integers(other, table)) != first


def test_progress_counts_every_step_once_to_the_end(adapted):
    _, _, told = adapted
    steps = told[0][1]
    assert told == [(done, steps) for done in range(1, steps + 1)]


def test_a_word_of_a_held_out_file_alone_has_no_row_while_that_file_is_asked(beginning):
    files = np.array([not name.startswith("qzam") for name in _names(beginning)])
    table = adapt.train(beginning, files, lambda done, steps: None)
    row = beginning.corpus.terms.index("qzam")
    assert not table[row].any()
    assert table[beginning.corpus.terms.index("qzbi")].any()


def _names(beginning):
    c = beginning.corpus
    return [
        next(name for name in NAMES if c.terms.index(name) in c.paths[c.paths_at[file] : c.paths_at[file + 1]])
        for file in range(len(c.lines) - 1)
    ]
