"""The code embedding model: its embedder, and the way from sources to a trained table."""

from __future__ import annotations

import io
import json
import sys
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codequarry import text
from codequarry.errors import BadInput, ModelError
from codequarry.models import terms as embedder
from codequarry.models.saved import safetensors
from codequarry.models.training import contrast, sources
from codequarry.models.training.corpus import Corpus

sys.path.append(str(Path(__file__).parents[2] / "training" / "code"))

import corpus as corpora
import export
import leaks
import registries
import train

TERMS = sorted({"read", "file", "readfil", "line", "pars", "http", "header", "2", "größe", "return"}, key=str.encode)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> embedder.TermEmbedder:
    folder = tmp_path_factory.mktemp("model")
    random = np.random.default_rng(3)
    rows = random.integers(-127, 128, (len(TERMS), 8)).astype(np.int8)
    weights = random.integers(1, 16, len(TERMS)).astype(np.uint8)
    (folder / "rows.i8").write_bytes(rows.tobytes())
    (folder / "weights.u8").write_bytes(weights.tobytes())
    (folder / "terms.txt").write_text("\n".join(TERMS), encoding="utf-8")
    (folder / "model.json").write_text(json.dumps({"format": 1, "dim": 8, "content": "0" * 12}))
    return embedder.TermEmbedder(str(folder))


word = st.sampled_from(
    ["readFile", "read_file", "lines", "parseHTTPHeader2", "Größe", "return", "unknown", "__", "x", "{", "\ud800"]
)
texts = st.lists(st.lists(word, max_size=30).map(" ".join), max_size=5)


@given(texts)
@settings(max_examples=200)
def test_a_document_has_the_vector_of_the_same_question_whatever_stands_beside_it(model, some):
    assert model.embed(some) == b"".join(model.embed_question(one) for one in some)


@given(texts)
def test_terms_that_were_made_before_give_the_same_vectors(model, some):
    assert model.embed_terms([text.terms(one) for one in some]) == model.embed(some)
    assert model.embed_words([text.split(one) for one in some]) == model.embed(some)


def test_a_text_of_many_thousand_words_is_still_exact(model):
    long = "readFile lines return " * 60_000
    assert model.embed([long, "lines"])[:8] == model.embed_question(long)


def test_a_text_without_a_known_term_has_a_zero_vector(model):
    assert model.embed(["", "zzz qqq"]) == bytes(16)
    assert model.embed_question("zzz") == bytes(8)


def test_every_term_is_found_in_its_row_and_no_other_is(model):
    assert [model.find(term) for term in TERMS] == list(range(len(TERMS)))
    assert [model.find(term) for term in ("", "a", "rea", "reads", "zz", "\n", "file\nheader")] == [-1] * 7


def test_fewer_dimensions_are_another_model_and_too_many_are_refused(model, tmp_path):
    folder = _copy(model, tmp_path)
    short = embedder.TermEmbedder(folder, truncate_dim=4)
    assert (short.dim, len(short.embed(["read"]))) == (4, 4)
    assert short.fingerprint != model.fingerprint
    assert short.embed(["readFile lines"]) == short.embed_question("readFile lines")
    with pytest.raises(BadInput):
        embedder.TermEmbedder(folder, truncate_dim=9)


def test_a_folder_whose_parts_do_not_fit_is_refused(model, tmp_path):
    folder = _copy(model, tmp_path)
    (tmp_path / "terms.txt").write_text("only\ntwo")
    with pytest.raises(ModelError, match="fit together"):
        embedder.TermEmbedder(folder)
    with pytest.raises(ModelError):
        embedder.TermEmbedder(str(tmp_path / "nowhere"))


def _copy(model: embedder.TermEmbedder, folder: Path) -> str:
    (folder / "rows.i8").write_bytes(bytes(model._table.rows.cast("B")))
    (folder / "weights.u8").write_bytes(model._table.weights)
    (folder / "terms.txt").write_bytes(model._table.lines)
    (folder / "model.json").write_text(json.dumps({"format": 1, "dim": 8, "content": "0" * 12}))
    return str(folder)


# ----------------------------------------------------------------------------------------------------- sources and pairs


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        (
            "a.py",
            'import os\n\ndef read(path):\n    """Reads the whole file at once."""\n    return open(path).read()\n',
            ("Reads the whole file at once", "read", (2, 5)),
        ),
        (
            "a.go",
            "package a\n\n// Read returns all bytes of the file.\nfunc Read(p string) []byte {\n\tf := open(p)\n\treturn f\n}\n",
            ("Read returns all bytes of the file", "Read", (3, 7)),
        ),
        (
            "A.java",
            "class A {\n  /**\n   * Closes the {@link Socket socket} at once.\n   * @return nothing\n   */\n"
            "  void close() {\n    s.close();\n  }\n}\n",
            ("Closes the Socket socket at once", "close", (5, 8)),
        ),
        (
            "a.rs",
            "mod a;\n/// Splits the text into its lines.\n#[inline]\npub fn lines(s: &str) -> Vec<&str> {\n"
            '    s.split("\\n").collect()\n}\n',
            ("Splits the text into its lines", "lines", (2, 6)),
        ),
        (
            "a.ex",
            'defmodule A do\n  @doc """\n  Sends the message to every subscriber.\n  """\n'
            "  def send(m) do\n    all(m)\n  end\nend\n",
            ("Sends the message to every subscriber", "send", (4, 7)),
        ),
        (
            "a.hs",
            "module A where\n\n-- | Parses one header line.\nheader :: Parser Header\nheader = do\n  a <- name\n  pure a\n",
            ("Parses one header line", "header", (3, 7)),
        ),
        (
            "a.lua",
            "local M = {}\n--- Opens the picker for buffers.\nfunction M.open(opts)\n  return pick(opts)\nend\n",
            ("Opens the picker for buffers", "M.open", (2, 5)),
        ),
    ],
)
def test_documentation_is_paired_with_what_it_documents(path, source, expected):
    code, _, comments = sources.split(source, path)
    found = [
        (pair.sentence.rstrip("."), pair.name, (pair.start, pair.end))
        for pair in sources.pairs(code, comments, sources.language(path))
    ]
    assert expected in [(said, name, (start, min(end, expected[2][1]))) for said, name, (start, end) in found]


def test_a_comment_sign_in_a_string_is_no_comment_and_lines_stay_where_they_are():
    source = "a = \"// no # comment\"  # but this\nb = \"http://x/*\"\n'''\nwhole\n'''\n"
    code, remarks, _ = sources.split(source, "a.py")
    assert code[:2] == ['a = "// no # comment"  ', 'b = "http://x/*"']
    assert len(code) == len(remarks) == source.count("\n") + 1
    assert remarks[0] == "# but this"


@pytest.mark.parametrize(
    "comment",
    [
        "Copyright 2020 the authors of this",
        "if (a == b) { return c; }",
        "eslint-disable no-undef here",
        "short one",
        "@param x the number",
    ],
)
def test_what_nobody_would_ask_is_no_sentence(comment):
    assert sources.sentence(comment) == ""


def test_vendored_generated_and_tested_code_is_left_out():
    assert sources.language("src/net/http.go") == "go"
    assert not any(
        map(sources.language, ("vendor/a.go", "a/tests/b.py", "x.min.js", "a_test.go", "a.pb.go", "README.md"))
    )
    assert not corpora.usable(b"// GNU General Public License v2\n" + b"x = 1\n" * 20)
    assert not corpora.usable(b"// Code generated by protoc. DO NOT EDIT.\n" + b"x = 1\n" * 20)
    assert corpora.usable(b"x = 1\n" * 20)


@pytest.mark.parametrize(
    ("licence", "may"),
    [
        ("MIT", True),
        ("(MIT OR Apache-2.0)", True),
        ("GPL-2 or Apache-2.0", True),
        ("Apache License 2.0", True),
        ("BSD-3-clause and GPL-2+", False),
        ("LGPL-2.1-or-later", False),
        ("Mozilla Public License 2.0 (MPL 2.0)", False),
        ("", False),
    ],
)
def test_only_permissive_licences_are_used(licence, may):
    assert corpora.permissive(licence) is may


# ----------------------------------------------------------------------------------------------- from packages to a table

FILE = '''\
"""Keeps connections open between requests."""

import socket


def acquire_connection(pool, host):
    """Takes a free connection to the host from the pool or opens one."""
    for connection in pool.free_connections(host, pool.limit, pool.timeout):
        if connection.is_alive(pool.check_interval, connection.last_used_at):
            return pool.mark_used(connection, host, pool.clock.now(), True)
    return pool.open_connection(host, pool.timeout, pool.family, pool.resolver)


def release_connection(pool, connection):
    """Gives the connection back so that another request can use it."""
    pool.used.discard(connection)
    pool.free.append(connection)
'''


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[registries.Package]:
    folder = tmp_path_factory.mktemp("archives")
    made = []
    for number in range(3):
        archive = folder / f"pool{number}-1.0.tgz"
        about = {"name": f"pool{number}", "version": "1.0", "license": "MIT", "repository": f"someone/pool{number}"}
        with tarfile.open(archive, "w:gz") as tar:
            for name, data in (("package/package.json", json.dumps(about)), (f"package/src/pool{number}.py", FILE)):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data.encode()))
        made.append(registries.Package("npm", f"pool{number}", "1.0", archives=[archive]))
    return made


def test_a_package_of_a_repository_that_is_kept_apart_is_never_read(packages, tmp_path, capsys):
    (tmp_path / "apart.txt").write_text("# kept apart\nSomeone/Pool1\n")
    (tmp_path / "labels.json").write_text(json.dumps([{"name": "p", "github": "someone/pool2"}]))
    apart = corpora.kept_apart([tmp_path / "apart.txt", tmp_path / "labels.json"])
    assert [package.name for package in corpora.check(packages, apart)] == ["pool0"]
    assert "npm/pool1" in capsys.readouterr().err
    assert packages[0].licence == "MIT"


def test_the_corpus_is_the_packages_terms_line_by_line(packages, tmp_path):
    whole = corpora.build(packages, workers=1)
    whole.save(tmp_path / "corpus.npz")
    whole = Corpus.load(tmp_path / "corpus.npz")
    assert len(whole.pairs) == 9
    lines = FILE.splitlines()
    at = int(whole.lines[1]) + 6  # the second file's `for` line
    terms = [whole.terms[row] for row in whole.code[whole.code_at[at + 1] : whole.code_at[at + 2]]]
    assert terms == text.terms(lines[7]).split()
    assert [whole.terms[row] for row in whole.paths[: whole.paths_at[1]]] == text.terms("src/pool0.py").split()


def test_code_that_stands_in_a_benchmark_is_counted(packages, tmp_path):
    whole = corpora.build(packages, workers=1)
    rows = {term: row for row, term in enumerate(whole.terms)}
    (tmp_path / "copy.py").write_text(FILE.replace("    ", "\t"))
    assert len(leaks.near_duplicates(whole, set(leaks.lines_of([tmp_path], rows)))) >= 3
    (tmp_path / "copy.py").write_text("x = 1\n")
    assert len(leaks.near_duplicates(whole, set(leaks.lines_of([tmp_path], rows)))) == 0


def test_the_gradient_of_the_loss_is_its_slope():
    random = np.random.default_rng(0)
    a, b = random.standard_normal((2, 6, 4))
    file = np.array([0, 1, 2, 2, 3, 4])
    _, grad_a, grad_b = contrast.contrast(a, b, file, 0.5)
    for values, gradient in ((a, grad_a), (b, grad_b)):
        for place in ((0, 1), (3, 2), (5, 0)):
            kept, step = values[place], 1e-5
            values[place] = kept + step
            above = contrast.contrast(a, b, file, 0.5)[0]
            values[place] = kept - step
            below = contrast.contrast(a, b, file, 0.5)[0]
            values[place] = kept
            assert gradient[place] == pytest.approx((above - below) / (2 * step), abs=1e-5)


def test_training_brings_sentences_to_their_code_and_the_written_model_agrees(packages, tmp_path):
    whole = corpora.build(packages, workers=1)
    chosen = contrast.Settings(dim=16, steps=40, batch=6, block=2, rate=0.02)
    table = train.train(whole, chosen, every=0)
    again = train.train(whole, chosen, every=0)
    assert np.array_equal(table, again)

    def agreement(of: np.ndarray) -> float:
        said = [whole.said[whole.said_at[pair] : whole.said_at[pair + 1]] for pair in (1, 2)]
        code = [
            np.concatenate(contrast.window(whole, 0, *whole.pairs[pair, 2:4].tolist(), 0, 0, False)) for pair in (1, 2)
        ]
        left = contrast.embed(of, contrast.bags(said, len(of), 1.0))
        right = contrast.embed(of, contrast.bags(code, len(of), chosen.saturation))
        similar = left @ right.T
        return float(similar[0, 0] + similar[1, 1] - similar[0, 1] - similar[1, 0])

    assert agreement(table) > agreement(train.initial(whole, chosen)) + 0.2
    export.write(tmp_path / "model", table, whole, chosen)
    written = embedder.TermEmbedder(str(tmp_path / "model"))
    question = "gives the connection back"
    exact = contrast.embed(
        table,
        contrast.bags(
            [np.array([whole.terms.index(t) for t in text.terms(question).split() if t in whole.terms], np.int32)],
            len(table),
            0.5,
        ),
    )[0]
    near = np.frombuffer(written.embed_question(question), np.int8).astype(float)
    assert float(exact @ near) / np.linalg.norm(near) == pytest.approx(1.0, abs=1e-3)


def test_the_exported_table_has_a_row_for_each_part_and_for_its_last_occurrence(model, tmp_path):
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    _copy(model, shipped)
    export.save(tmp_path / "saved", shipped, Counter({"files": 3, "reading": 2, "lines": 2, "zzz": 9}))
    table = safetensors((tmp_path / "saved" / "model.safetensors").read_bytes())["embeddings"]
    vocabulary = json.loads((tmp_path / "saved" / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    assert sorted(vocabulary) == ["[UNK]", "files", "lines", "reading", "§files", "§lines", "§reading"]
    assert not table[vocabulary["[UNK]"]].any()
    assert np.allclose(table[vocabulary["files"]] * 4, table[vocabulary["§files"]])
    row = TERMS.index("file")
    ours = np.frombuffer(model._table.rows, np.int8).reshape(-1, 8)[row] * float(model._table.weights[row])
    theirs = table[vocabulary["§files"]]
    assert ours @ theirs == pytest.approx(np.linalg.norm(ours) * np.linalg.norm(theirs))
