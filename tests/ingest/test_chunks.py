"""What a file is cut into. `tests/languages` has a sample of each language and what is expected of it.

CODEQUARRY_UPDATE_SAMPLES=1 writes what is expected anew; read the difference before it is committed.
"""

import json
import os
from pathlib import Path

import pytest

from codequarry.ingest import chunks, grammars, languages, syntax
from codequarry.ingest.chunks import MAX_CHARS, MAX_LINES

SAMPLES = sorted(Path(__file__).parent.parent.joinpath("languages").glob("*/sample.*"))


def cut(text, language="", path="f"):
    return chunks.cut(text, language, path)


def spans(text, language=""):
    return [(chunk.start_line, chunk.end_line) for chunk in cut(text, language)]


def names(text, language):
    return {symbol.name: symbol.kind for chunk in cut(text, language) for symbol in chunk.symbols}


def crumbs(text, language):
    return [chunk.breadcrumb.removeprefix("f").removeprefix(" › ") for chunk in cut(text, language)]


def body(lines, indent="    "):
    return "".join(f"{indent}x = {line}\n" for line in range(lines))


# -------------------------------------------------------------------------------------------------------------- samples


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.parent.name)
def test_a_sample_is_cut_and_named_as_expected(sample):
    text = sample.read_text(encoding="utf-8")
    language = languages.detect(sample.name, text)
    assert language == sample.parent.name
    found = [
        {
            "lines": [chunk.start_line, chunk.end_line],
            "kind": chunk.kind,
            "breadcrumb": chunk.breadcrumb,
            "symbols": [f"{symbol.line} {symbol.kind} {symbol.name}" for symbol in chunk.symbols],
        }
        for chunk in chunks.cut(text, language, sample.name)
    ]
    expected = sample.with_name("expected.json")
    if os.environ.get("CODEQUARRY_UPDATE_SAMPLES"):
        expected.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert found == json.loads(expected.read_text(encoding="utf-8"))


def test_every_language_with_a_grammar_or_an_outline_of_its_own_has_a_sample():
    assert set(grammars.ROWS) | {"markdown", "sql", "yaml"} == {sample.parent.name for sample in SAMPLES}


# -------------------------------------------------------------------------------------------------------- where it cuts


def test_a_blank_text_has_no_chunks():
    assert cut("") == cut("\n \n\t\n") == cut("\r\n\r\n", "python") == []


def test_a_short_file_is_one_chunk_without_the_blank_lines_around_it():
    (chunk,) = cut("\n\nx = 1\n\ny = 2\n\n\n", "python")
    assert (chunk.start_line, chunk.end_line) == (3, 5)
    assert (chunk.start_byte, chunk.end_byte) == (2, 14)


def test_small_functions_are_put_together():
    text = "".join(f"def f{n}():\n    return {n}\n\n\n" for n in range(12))
    assert spans(text, "python") == [(1, 46)]


def test_a_file_is_cut_between_functions_rather_than_within_one():
    text = f"def a():\n{body(29)}\ndef b():\n{body(39)}"
    assert spans(text, "python") == [(1, 30), (32, 71)]


def test_a_comment_and_decorators_stay_with_the_function_below():
    text = f"def a():\n{body(40)}\n# About b.\n# More.\n@one\n@two(3)\ndef b():\n{body(40)}"
    assert spans(text, "python") == [(1, 41), (43, 87)]


def test_attributes_and_doc_comments_stay_with_the_item_below():
    filler = "".join(f"    let x{n} = {n};\n" for n in range(44))
    text = f"fn a() {{\n{filler}}}\n\n/// About B.\n#[derive(Debug)]\n#[repr(C)]\npub struct B {{\n    x: u8,\n}}\n"
    assert spans(text, "rust") == [(1, 46), (48, 53)]


def test_a_new_class_is_not_put_behind_the_tail_of_another():
    methods = "".join(f"    def m{n}(self):\n{body(8, '        ')}\n" for n in range(7))
    text = f"class A:\n{methods}\nclass B:\n{methods}"
    starts = [start for start, _ in spans(text, "python")]
    assert text.split("\n").index("class B:") + 1 in starts


def test_a_function_longer_than_a_chunk_is_cut_between_statements_and_keeps_its_breadcrumb():
    statements = "".join(f"    if x == {n}:\n        a({n})\n        b({n})\n\n" for n in range(40))
    text = f"class A:\n  def long(self, x: int) -> None:\n{statements}"
    rows = text.split("\n")
    found = cut(text, "python")
    assert len(found) > 3
    assert {chunk.breadcrumb for chunk in found} == {"f › A › long(self, x: int) -> None"}
    assert all(rows[chunk.start_line - 1].startswith("    if ") for chunk in found[1:])


def test_a_long_table_is_cut_between_its_entries():
    entries = "".join(f'    {{\n        "key": {n},\n    }},\n' for n in range(60))
    text = f"TABLE = [\n{entries}]\n"
    rows = text.split("\n")
    assert all(rows[start - 1] == "    {" for start, _ in spans(text, "python")[1:])


def test_a_long_string_is_cut_at_its_empty_lines():
    paragraphs = "".join("word word\n" * 9 + "\n" for _ in range(20))
    text = f'TEXT = """\n{paragraphs}"""\n'
    rows = text.split("\n")
    assert all(rows[start - 2] == "" for start, _ in spans(text, "python")[1:])


def test_a_single_long_line_is_a_chunk_of_its_own():
    long = "x" * (2 * MAX_CHARS)
    assert spans(f"a\n{long}\nb\n") == [(1, 1), (2, 2), (3, 3)]


def test_long_lines_make_chunks_of_fewer_lines():
    text = ("y" * 1500 + "\n") * 10
    assert all(chunk.end_byte - chunk.start_byte <= MAX_CHARS for chunk in cut(text))
    assert len(cut(text)) == 5


def test_characters_are_counted_not_bytes():
    text = ("é" * 79 + "\n") * MAX_LINES
    (chunk,) = cut(text)
    assert chunk.end_byte == len(text.encode()) - 1 > MAX_CHARS


@pytest.mark.parametrize("odd", ["\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
def test_only_a_line_feed_ends_a_line(odd):
    (chunk,) = cut(f"a{odd}b\nc{odd}\n", "python")
    assert (chunk.start_line, chunk.end_line) == (1, 2)
    assert chunk.end_byte == len(f"a{odd}b\nc{odd}".encode())


def test_the_carriage_return_of_the_last_line_belongs_to_its_chunk():
    text = "def f():\r\n    return 1\r\n"
    (chunk,) = cut(text, "python")
    assert text.encode()[chunk.start_byte : chunk.end_byte] == b"def f():\r\n    return 1\r"
    assert names(text, "python") == {"f": "function"}


# --------------------------------------------------------------------------------------------------------- what it names


def test_locals_of_a_function_are_no_symbols():
    assert names("def f():\n    LOCAL = 1\n    def g(): pass\n", "python") == {"f": "function"}
    assert names("func f() {\n\tconst local = 1\n\tvar x = 2\n}\n", "go") == {"f": "function"}


def test_a_nested_function_of_one_that_is_longer_than_a_chunk_is_a_symbol_but_its_variables_are_not():
    text = f"def f():\n{body(60)}    def g():\n        pass\n"
    assert names(text, "python") == {"f": "function", "g": "function"}


def test_functions_in_a_class_are_methods_and_its_variables_fields():
    text = "class A:\n    x = 1\n    LIMIT = 2\n    def m(self): pass\ny = 1\ndef f(): pass\n"
    assert names(text, "python") == {
        "A": "class",
        "x": "field",
        "LIMIT": "constant",
        "m": "method",
        "y": "variable",
        "f": "function",
    }


def test_a_name_defined_twice_in_a_chunk_is_given_once():
    (chunk,) = cut("def f(x):\n    pass\ndef f(y):\n    pass\n", "python")
    assert [symbol.name for symbol in chunk.symbols] == ["f"]


def test_every_symbol_stands_in_the_chunk_with_its_line():
    text = "".join(f"def f{n}(a):\n{body(20)}\n" for n in range(10))
    for chunk in cut(text, "python"):
        for symbol in chunk.symbols:
            assert chunk.start_line <= symbol.line <= chunk.end_line
            assert text.split("\n")[symbol.line - 1].startswith(f"def {symbol.name}(")


@pytest.mark.parametrize(
    ("language", "text", "name"),
    [
        ("python", "class A(:\n    def ok(self): pass\n\ndef g(: pass\ndef h(): pass\n", "h"),
        ("go", "package a\nfunc broken( {\n}\nfunc ok() {}\n", "ok"),
        ("java", "class A { void m( { }\n  void ok() { int x = ; }\n}\n", "ok"),
        ("c", "API_EXPORT(int) broken(int a {\nint ok(void) { return 0; }\n", "ok"),
        ("cpp", "class EXPORT A : public B {\n public:\n  MACRO(x)\n  void ok();\n};\n", "ok"),
        ("rust", "fn broken( -> {\npub fn ok() {}\n", "ok"),
        ("swift", "func broken(_ x: Int -> {\nfunc ok() {}\n", "ok"),
        ("ruby", "class A\n  def ok\n    x(&:y\n  end\nend\n", "ok"),
        ("typescript", "class A {\n  broken(: {\n  }\n}\nfunction ok() {}\n", "ok"),
    ],
)
def test_a_file_with_a_syntax_error_still_tells_its_names(language, text, name):
    assert name in names(text, language)


def test_what_a_macro_wraps_is_told_by_its_keywords():
    items = (
        "    pub struct Stream {\n        x: u8,\n    }\n\n    impl Stream {\n        pub async fn read() {}\n    }\n"
    )
    text = f"cfg_net! {{\n{items}}}\n"
    assert names(text, "rust") == {"Stream": "struct", "read": "function"}


def test_a_language_without_grammar_tells_its_names_by_keywords():
    text = "abstract class Shape {\n  double area();\n}\n\nenum Color { red }\n\nmixin Named {\n}\n"
    assert names(text, "dart") == {"Shape": "class", "Color": "enum", "Named": "class"}


def test_a_method_stands_below_its_receiver():
    assert crumbs("package a\n\nfunc (p *Pool[T]) Get(n int) (T, error) {\n\treturn\n}\n", "go") == [
        "Pool › Get(n int) (T, error)"
    ]


def test_an_out_of_class_definition_stands_below_its_class():
    assert crumbs("void app::Pool::run(int n) const {\n  go();\n}\n", "cpp") == ["app::Pool › run(int n) const"]


def test_a_function_that_a_name_is_set_to_has_the_parameters_of_the_function():
    assert crumbs(
        "export const load: Loader<A> = async (a: A, b = 1): Promise<B> => {\n  return a\n}\n", "typescript"
    ) == ["load(a: A, b = 1): Promise<B>"]


def test_a_breadcrumb_has_at_most_two_hundred_characters_beside_the_path():
    deep = "".join(f"{'  ' * n}class {'C' * 60}{n}:\n" for n in range(6)) + "            x = 1\n"
    (found,) = crumbs(deep, "python")
    assert 60 < len(found) <= 200
    wide = f"def f({', '.join(f'parameter_{n}' for n in range(40))}):\n    pass\n"
    (found,) = crumbs(wide, "python")
    assert found.startswith("f(parameter_0, ") and found.endswith("…") and len(found) < 100


def test_a_title_of_a_test_is_a_place_not_a_symbol():
    text = f"describe('Pool', () => {{\n  it('gives back', () => {{\n{body(10)}  }})\n}})\n"
    assert crumbs(text, "javascript") == ["Pool › gives back"]
    assert names(text, "javascript") == {}


# ------------------------------------------------------------------------------------------- documents and configuration


def test_a_section_of_a_document_stands_below_the_headings_around_it():
    text = "# Top\n\n" + "word\n" * 30 + "\n## Second\n\n" + "more\n" * 40 + "\n### Third\n\n" + "even more\n" * 45
    assert crumbs(text, "markdown") == ["Top", "Top › Second", "Top › Second › Third"]


def test_headings_are_symbols_of_a_document_and_fenced_ones_are_not():
    text = "Title\n=====\n\n```sh\n# not one\n```\n\n## Second ##\n\n~~~~\n## nor this\n~~~\n~~~~\n\nThird\n---\n\n#hashtag\n"
    assert names(text, "markdown") == {"Title": "heading", "Second": "heading", "Third": "heading"}


def test_titles_of_restructured_text_are_told_by_their_underlines():
    text = "=====\nTitle\n=====\n\nText.\n\nSection\n=======\n\nText::\n\n    code\n    ----\n\nSub\n---\n\nEnd\n===\n"
    assert names(text, "restructuredtext") == dict.fromkeys(["Title", "Section", "Sub", "End"], "heading")
    assert crumbs(text + "word\n" * 30, "restructuredtext")[-1] == "Title › End"


@pytest.mark.parametrize(
    ("language", "text", "keys"),
    [
        ("yaml", "a:\n  b: 1\n'c d':\n- x: 1\n# e: 2\nf: |\n  g: h\n", ["a", "c d", "f"]),
        ("json", '{\n  "a": {\n    "b": 1\n  },\n  "c": [2]\n}\n', ["a", "c"]),
        ("toml", 'top = 1\n[a.b]\nc = 1\n[[d]]\ne = "[f]"\n', ["top", "a.b", "d"]),
        ("ini", "[one]\na = b\n[two words]\n", ["one", "two words"]),
        ("properties", "a.b=1\n# c=2\nd: 3\n", ["a.b", "d"]),
    ],
)
def test_the_outermost_keys_of_a_configuration_are_symbols(language, text, keys):
    assert names(text, language) == dict.fromkeys(keys, "key")


def test_targets_and_stages_are_symbols():
    assert names("all: a b\n\techo\n.PHONY: all\nX := 1\nbuild/%.o: x\n", "makefile") == {
        "all": "target",
        "build/%.o": "target",
    }
    assert names("FROM a AS base\nRUN x\nFROM base as final\n", "dockerfile") == {"base": "stage", "final": "stage"}


def test_a_key_of_the_second_level_is_a_place_in_the_breadcrumb():
    steps = "".join(f"      - run: step {n}\n" for n in range(40))
    text = f"on: push\njobs:\n  lint:\n    steps:\n{steps}  test:\n    steps:\n{steps}"
    assert crumbs(text, "yaml") == ["jobs › lint", "jobs › test"]


def test_chunks_have_the_kind_of_their_language():
    kinds = {language: cut("a: 1\n", language)[0].kind for language in ("python", "markdown", "yaml", "hcl", "", "csv")}
    assert kinds == {"python": "code", "markdown": "docs", "yaml": "config", "hcl": "config", "": "text", "csv": "text"}


# ------------------------------------------------------------------------------------------------------- hostile content


def test_a_file_too_long_to_parse_is_cut_by_lines_and_keeps_its_names():
    text = "def first():\n    pass\n\n" + "x = 1\n" * (syntax.MAX_PARSED_BYTES // 6) + "def last():\n    pass\n"
    found = names(text, "python")
    assert found["first"] == found["last"] == "function"
    assert max(end - start for start, end in spans(text, "python")) < MAX_LINES


@pytest.mark.parametrize("language", ["java", "csharp", "cpp", "kotlin"])
def test_a_parser_that_would_take_the_memory_of_the_machine_gives_way(language):
    text = "a<b<c<d<\n" * 4000
    assert spans(text, language) == [(n + 1, n + MAX_LINES) for n in range(0, 4000, MAX_LINES)]


def test_a_parser_that_gave_way_parses_the_next_file():
    cut("a<b<c<d<\n" * 4000, "java")
    assert names("class A { void m() {} }\n", "java") == {"A": "class", "m": "method"}


@pytest.mark.parametrize("language", ["python", "go", "javascript", "c", "haskell", "yaml", "json", "markdown", ""])
def test_ten_thousand_levels_of_nesting_are_cut(language):
    text = "[\n" * 10_000 + "]\n" * 10_000
    found = spans(text, language)
    assert found[0][0] == 1 and found[-1][1] == 20_000


def test_parsers_are_not_shared_between_threads():
    from concurrent.futures import ThreadPoolExecutor

    texts = [f"def f{n}():\n    pass\n" * 300 for n in range(16)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: names(text, "python"), texts))
    assert found == [{f"f{n}": "function"} for n in range(16)]
