"""What must hold for every embedder that gives exact vectors; `codequarry.ports.Embedder` is the contract.

The transformers' half is in tests/transformers: it needs torch, and there a batch may move a value by one.
"""

from __future__ import annotations

import math
from array import array
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codequarry.models import open_embedder

DISTILLED = f"static:{Path(__file__).parents[2] / 'training' / 'distilled'}"
NAMES = ["code", DISTILLED, "hash", "hash:64"]
opened = cache(open_embedder)
every_embedder = pytest.mark.parametrize("name", NAMES, ids=["code", "static", "hash", "hash:64"])

CODE = st.sampled_from(
    "def read_file(path): return open(path).read()|func (s *Server) ListenAndServe() error {|HTTPRequestTimeoutError|"
    "SELECT name FROM users WHERE id = 42|naïve café Straße|данные из файла|読み込み中 设置文件|👩‍👩‍👧 {}();|\t\n\0|x|_|é"
    "|\ud800 half a pair|﷽ ǅ İstanbul ﬁle|0xDEADbeef 1e-9 sha256".split("|")
)
TEXTS = st.one_of(CODE, st.text(max_size=60), st.text(alphabet="abcXYZ019_ .é中", max_size=40))


def rows_of(embedder, texts):
    data = embedder.embed(texts)
    assert len(data) == len(texts) * embedder.dim
    return [data[at : at + embedder.dim] for at in range(0, len(data), embedder.dim)]


def length(row):
    return math.sqrt(sum(value * value for value in array("b", row)))


@every_embedder
@given(text=TEXTS)
def test_a_vector_has_length_127_or_is_zero(name, text):
    row = opened(name).embed([text])
    values = array("b", row)
    # Rounding moves each value by half at most, so the vector by half the root of the dimensions.
    assert not any(values) or abs(length(row) - 127) <= 0.5 * math.sqrt(opened(name).dim)
    assert min(values) >= -127


@every_embedder
@given(texts=st.lists(TEXTS, max_size=150))
def test_neither_the_batch_nor_the_place_in_it_changes_a_vector(name, texts):
    embedder = opened(name)
    assert rows_of(embedder, texts) == [embedder.embed([text]) for text in texts]


@every_embedder
@given(text=TEXTS)
def test_a_question_without_a_prompt_has_the_vector_of_a_document(name, text):
    assert opened(name).embed_question(text) == opened(name).embed([text])


@every_embedder
def test_order_is_kept(name):
    texts = [f"word{number} {'alpha beta gamma delta'.split()[number % 4]}" for number in range(200)]
    rows = rows_of(opened(name), texts)
    assert rows_of(opened(name), texts[::-1]) == rows[::-1]
    assert rows_of(opened(name), ["alpha", "beta"]) != rows_of(opened(name), ["beta", "alpha"])


@every_embedder
def test_no_texts_have_no_vectors(name):
    assert opened(name).embed([]) == b""


@every_embedder
@pytest.mark.parametrize("text", ["", " \n\t", "!? {} -> ()", "___", "👍"])
def test_a_text_without_a_word_has_a_zero_vector(name, text):
    assert opened(name).embed([text]) == bytes(opened(name).dim)
    assert opened(name).embed_question(text) == bytes(opened(name).dim)


@every_embedder
def test_the_same_name_opens_the_same_model(name):
    one, two = open_embedder(name), open_embedder(name)
    assert one.name == name
    assert one.fingerprint == two.fingerprint
    assert one.embed(["connect to the database"]) == two.embed(["connect to the database"])


def test_other_models_have_other_fingerprints():
    assert len({opened(name).fingerprint for name in NAMES}) == len(NAMES)


@every_embedder
def test_a_fingerprint_can_stand_in_the_name_of_an_index(name):
    fingerprint = opened(name).fingerprint
    assert 8 <= len(fingerprint) <= 32
    assert set(fingerprint) <= set("0123456789abcdef")


@every_embedder
def test_threads_share_an_embedder(name):
    embedder = open_embedder(name)
    texts = [f"thread safe value {number} of_the_{number % 7}th list" for number in range(100)]
    with ThreadPoolExecutor(8) as pool:
        questions = list(pool.map(embedder.embed_question, texts))
        documents = list(pool.map(embedder.embed, [texts] * 8))
    assert documents == [b"".join(questions)] * 8


@every_embedder
def test_texts_that_share_words_are_nearer(name):
    embedder = opened(name)
    near, far = rows_of(embedder, ["def parse_json_file(path)", "class PaintBrush: color"])
    question = array("b", embedder.embed_question("parse a JSON file"))

    def dot(row):
        return sum(one * other for one, other in zip(question, array("b", row), strict=True))

    assert dot(near) > dot(far)
