"""SQL of every dialect: where its statements end, what they create, and texts made to break the one who looks for that."""

import pytest

from codequarry.ingest import chunks, sql, statements
from codequarry.ingest.outline import Lines


def parts(text):
    """Each statement, comment or line for a client, as it stands in the text."""
    return [text[part.start : part.end].strip() for part in statements.parts(text)]


def made(text):
    return [
        (one.kind, f"{one.owner}.{one.name}".lstrip("."))
        for one in sql.outline(text, Lines.of(text)).definitions
        if one.kind
    ]


def crumbs(text):
    return [chunk.breadcrumb.removeprefix("f").removeprefix(" › ") for chunk in chunks.cut(text, "sql", "f")]


# ------------------------------------------------------------------------------------------------- where statements end


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 'a;b', 'it''s; so'",
        "SELECT E'it\\'s; so'",
        'SELECT "a;b", "a"";b" FROM t',
        "SELECT 1 -- don't; stop\n, 2",
        "SELECT 1 /* a; b /* c; */ d; */ , 2",
        "SELECT x #> '{a;b}' # 1\n  #>> '{c}'",
        "SELECT 1\n# don't; stop\n, 2",
        "SELECT $$a; ' b$$, $x$ c; $$ ; $x$",
        "CREATE FUNCTION f() RETURNS int AS $f$ BEGIN RETURN 1; END; $f$ LANGUAGE plpgsql",
        "CREATE FUNCTION f() RETURNS int LANGUAGE SQL BEGIN ATOMIC SELECT 1; SELECT 2; END",
        "CREATE PROCEDURE p()\nBEGIN\n  IF a THEN BEGIN x; END; END IF;\n  CASE a WHEN 1 THEN y; END CASE;\nEND",
        "CREATE PROCEDURE p() BEGIN WHILE a DO b; END WHILE; l: LOOP c; END LOOP l; REPEAT d; UNTIL e END REPEAT; END",
        "CREATE TRIGGER t AFTER INSERT ON x BEGIN UPDATE y SET z = CASE WHEN a THEN b END; DELETE FROM w; END",
        "CREATE FUNCTION f RETURN NUMBER IS\n  a NUMBER;\n  PROCEDURE q IS BEGIN x; END;\nBEGIN\n  y;\nEND f",
        "CREATE OR REPLACE PACKAGE p AS\n  a NUMBER;\n  FUNCTION f RETURN NUMBER;\nEND p",
        "CREATE TRIGGER t BEFORE INSERT ON x FOR EACH ROW\nDECLARE\n  n NUMBER;\nBEGIN\n  SELECT 1 INTO n;\nEND",
        "DECLARE\n  n NUMBER;\nBEGIN\n  x;\nEND",
        "CREATE TABLE t (begin INT, case_ INT)",
        "CREATE PROCEDURE p() SELECT a AS b FROM t",
    ],
)
def test_a_statement_goes_on_to_the_semicolon_that_ends_it(statement):
    assert parts(f"{statement};\nSELECT 2;\n") == [statement + ";", "SELECT 2;"]


@pytest.mark.parametrize(
    "first", ["BEGIN", "BEGIN TRANSACTION", "BEGIN ISOLATION LEVEL SERIALIZABLE", "DECLARE @x INT"]
)
def test_what_only_looks_like_a_block_ends_at_its_semicolon(first):
    assert parts(f"{first};\nUPDATE t SET a = 1;\nCOMMIT;\n") == [f"{first};", "UPDATE t SET a = 1;", "COMMIT;"]


def test_strings_are_escaped_by_backslashes_where_the_text_is_mysql():
    assert parts("INSERT INTO `t` VALUES ('it\\'s; so');\nSELECT 2;") == [
        "INSERT INTO `t` VALUES ('it\\'s; so');",
        "SELECT 2;",
    ]
    assert parts("INSERT INTO t VALUES ('C:\\');\nSELECT 2;") == ["INSERT INTO t VALUES ('C:\\');", "SELECT 2;"]


@pytest.mark.parametrize("delimiter", ["//", "$$", ";;", "|"])
def test_a_delimiter_holds_until_it_is_set_back(delimiter):
    text = f"DELIMITER {delimiter}\nCREATE PROCEDURE p() BEGIN a; b; END{delimiter}\nSELECT 1; x{delimiter}\nDELIMITER ;\nSELECT 2;"
    assert parts(text) == [
        f"DELIMITER {delimiter}",
        f"CREATE PROCEDURE p() BEGIN a; b; END{delimiter}",
        f"SELECT 1; x{delimiter}",
        "SELECT 2;",
    ]


def test_a_delimiter_that_never_comes_is_none():
    assert parts("DELIMITER //\nSELECT 1;\nSELECT 2;\n") == ["SELECT 1;", "SELECT 2;"]


def test_go_ends_a_batch_and_a_routine_is_all_of_its_batch():
    text = "CREATE TABLE a (x INT)\nGO\nCREATE PROC p AS\nSET NOCOUNT ON;\nSELECT 1;\nGO\nSELECT 2\ngo 5\n"
    assert parts(text) == ["CREATE TABLE a (x INT)", "CREATE PROC p AS\nSET NOCOUNT ON;\nSELECT 1;", "SELECT 2"]


def test_a_slash_on_a_line_of_its_own_ends_a_statement():
    assert parts("CREATE TYPE a AS OBJECT (x INT)\n/\nSELECT (1\n/\n2) FROM dual\n/\n") == [
        "CREATE TYPE a AS OBJECT (x INT)",
        "SELECT (1\n/\n2) FROM dual",
    ]


def test_a_create_at_the_start_of_a_line_is_a_new_statement_though_nothing_ended_the_one_before():
    text = "CREATE TABLE a (x INT)\n\nCREATE TABLE b (y INT)\nCREATE PROCEDURE p AS BEGIN x;\nCREATE TABLE #c (z INT); y;\n"
    assert made(text) == [("table", "a"), ("table", "b"), ("function", "p")]


def test_lines_for_a_client_are_not_read_as_sql():
    text = "\\echo don't\nPROMPT can't\n.mode won't\nSELECT 1 \\gset\nSELECT 2;\n"
    assert parts(text) == ["\\echo don't", "PROMPT can't", ".mode won't", "SELECT 1 \\gset", "SELECT 2;"]


def test_the_rows_below_a_copy_belong_to_it():
    copy = "COPY s.t (a) FROM stdin;\nit's; 1\n\\n\n\\."
    assert parts(f"{copy}\nSELECT 1;") == [copy, "SELECT 1;"]


# ----------------------------------------------------------------------------------------------------- what they create


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("CREATE TABLE t (a INT)", "table", "t"),
        ("create temp table if not exists s.t as select 1", "table", "s.t"),
        ('CREATE UNLOGGED TABLE "My ""S""; x"."My T" (a INT)', "table", 'My "S"; x.My T'),
        ("CREATE TABLE [dbo].[a b] ([x] INT)", "table", "a b"),
        ("CREATE TABLE db..t (a INT)", "table", "db.t"),
        ("CREATE TABLE `d`.`t` (a INT)", "table", "d.t"),
        ("CREATE TABLE /* x */ t -- y\n (a INT)", "table", "t"),
        ("CREATE TABLE ${prefix}.t (a INT)", "table", "t"),
        ("CREATE TABLE τιμές (a INT)", "table", "τιμές"),
        ("CREATE MATERIALIZED VIEW v AS SELECT 1", "view", "v"),
        ("CREATE ALGORITHM = MERGE DEFINER=`a`@`%` SQL SECURITY INVOKER VIEW v AS SELECT 1", "view", "v"),
        ("/*!50003 CREATE*/ /*!50017 DEFINER=a@b*/ /*!50003 TRIGGER t AFTER INSERT ON x FOR EACH ROW y */", "trigger", "t"),
        ("CREATE OR ALTER PROC p AS SELECT 1", "function", "p"),
        ("CREATE EDITIONABLE PACKAGE BODY s.p IS END", "module", "s.p"),
        ("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)", "index", "i"),
        ("CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()", "trigger", "e"),
        ("CREATE SCHEMA AUTHORIZATION joe", "schema", "joe"),
        ("CREATE DOMAIN d AS text", "type", "d"),
        ("CREATE SEQUENCE s", "sequence", "s"),
        ("CREATE AGGREGATE sum2(int) (sfunc = f)", "function", "sum2"),
        ("ALTER PROCEDURE p AS SELECT 1", "function", "p"),
        ("-- name: get-one :one\nSELECT 1", "function", "get-one"),
    ],
)  # fmt: skip
def test_what_a_statement_creates_has_its_name_and_kind(text, kind, name):
    assert made(text + ";\n") == made("SELECT 1;\r\n\r\n" + text) == [(kind, name)]


@pytest.mark.parametrize(
    "text",
    [
        "CREATE EXTENSION hstore WITH SCHEMA public;",
        "CREATE INDEX ON t (a);",
        "CREATE PUBLICATION p FOR TABLE t;",
        "GRANT\n  CREATE TABLE, CREATE VIEW TO joe;",
        "ALTER TABLE t ADD a INT;",
        "ALTER FUNCTION f(int) OWNER TO joe;",
        "INSERT INTO t VALUES ('\nCREATE TABLE a (x INT)');",
        "-- CREATE TABLE a (x INT);",
        "/* CREATE TABLE a (x INT); */",
        "CREATE TABLE",
        "CREATE TABLE (a INT);",
        'CREATE TABLE "" (a INT);',
        "CREATE TABLE {{ this }} AS SELECT 1;",
    ],
)
def test_what_names_nothing_new_defines_nothing(text):
    assert made(text) == []


def test_a_package_holds_its_routines():
    text = "CREATE PACKAGE BODY p AS\n  FUNCTION f RETURN INT IS BEGIN x; END;\n  PROCEDURE q IS BEGIN y; END;\nEND p;\n/\n"
    found = sql.outline(text, Lines.of(text)).definitions
    assert [(one.name, one.row, one.last, one.scope) for one in found] == [
        ("p", 0, 3, -1),
        ("f", 1, 1, 0),
        ("q", 2, 3, 0),
    ]


def test_breadcrumbs_tell_the_table_that_long_statements_are_about():
    columns = ",\n".join(f"    ADD COLUMN c{n} INT" for n in range(80))
    rows = ",\n".join(f"    ({n}, 'a')" for n in range(80))
    text = f"ALTER TABLE ONLY s.t\n{columns};\n\nINSERT INTO u VALUES\n{rows};\n"
    assert crumbs(text) == ["s › t", "s › t", "u", "u"]


def test_breadcrumbs_have_the_parameters_of_a_function():
    text = "-- é\nCREATE FUNCTION s.f(a NUMERIC(10, 2), b TEXT DEFAULT 'ü')\nRETURNS INT AS 'x' LANGUAGE c;\n"
    assert crumbs(text) == ["s › f(a NUMERIC(10, 2), b TEXT DEFAULT 'ü')"]


def test_a_comment_stays_with_the_statement_below():
    filler = "".join(f"SELECT {n};\n" for n in range(40))
    text = f"{filler}\n-- About t.\n/* More. */\nCREATE TABLE t (\n" + "    a INT,\n" * 20 + "    b INT\n);\n"
    assert [(chunk.start_line, chunk.end_line) for chunk in chunks.cut(text, "sql", "f")] == [(1, 40), (42, 66)]


# -------------------------------------------------------------------------------------------------------------- hostile


@pytest.mark.parametrize("opened", ["'", '"', "`", "/*", "$$", "$a$", "E'", "(", "COPY t FROM stdin;\n1", "/*!50 "])
def test_what_is_never_closed_hides_nothing(opened):
    assert ("table", "b") in made(f"CREATE TABLE a (x INT);\nSELECT {opened} 1;\nCREATE TABLE b (y INT);\n")


def test_a_stray_apostrophe_does_not_turn_the_rest_inside_out():
    text = "SELECT don't;\nCREATE TABLE a (x TEXT DEFAULT 'b');\nCREATE TABLE c (y TEXT DEFAULT 'd;e');\n"
    assert made(text) == [("table", "a"), ("table", "c")]


def test_a_statement_of_a_megabyte_is_cut_and_keeps_its_breadcrumb():
    text = (
        "INSERT INTO s.t (a, b) VALUES\n"
        + "    (1, 'it''s; ( so'),\n" * 45_000
        + "    (2, '');\nCREATE TABLE z (a INT);\n"
    )
    found = chunks.cut(text, "sql", "f")
    assert {chunk.breadcrumb for chunk in found[:-1]} == {"f › s › t"}
    assert [symbol.name for chunk in found for symbol in chunk.symbols] == ["z"]


def test_a_megabyte_in_one_line_is_one_chunk():
    (chunk,) = chunks.cut("CREATE FUNCTION é(a INT); " * 40_000, "sql", "f")
    assert (chunk.start_line, chunk.end_line, len(chunk.symbols)) == (1, 1, 1)


@pytest.mark.parametrize("pair", [("(", ")"), ("BEGIN\n", "END\n"), ("/* ", "*/ "), ("CASE ", "END ")])
def test_a_hundred_thousand_levels_of_nesting_are_followed(pair):
    opening, closing = pair
    body = opening * 100_000 + closing * 100_000
    text = f"CREATE PROCEDURE p()\nBEGIN\n{body};\nEND;\nCREATE TABLE a (x INT);\n"
    assert made(text) == [("function", "p"), ("table", "a")]


@pytest.mark.parametrize(
    "piece",
    ["'", "\\'", "`", '"', "/* ", "/* /* */ ", "$a$ ", "# ", "#\n", "--\n", ";", "a;", "create\n", "create /* x */ ", "begin ",
     "create function f is ", "declare\n", "\n", "delimiter //\n", "go\n", "/\n", "\\", "copy t from stdin;\n", "';\ncreate x ",
     "\\';\ncreate x ", "/*!50 ", 'create table "', "create package p as\n procedure a;\n"],
)  # fmt: skip
@pytest.mark.parametrize("before", ["", "create function f() begin ", "engine = '", "delimiter //\n"])
def test_any_piece_many_times_over_is_cut(piece, before):
    text = before + piece * (200_000 // len(piece))
    rows = text.split("\n")
    covered = {row for chunk in chunks.cut(text, "sql", "f") for row in range(chunk.start_line, chunk.end_line + 1)}
    assert covered >= {number for number, row in enumerate(rows, 1) if row.strip()}


def test_many_tags_of_which_none_closes_are_cut():
    text = " ".join(f"$a{number}$ x;" for number in range(50_000)) + "\nCREATE TABLE t (a INT);\n"
    assert made(text) == [("table", "t")]
