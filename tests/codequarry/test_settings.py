import subprocess
import sys
from pathlib import Path

import pytest

from codequarry import settings
from codequarry.errors import SettingsError
from codequarry.settings import SETTINGS, Settings, load


def write(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "codequarry.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_every_row_is_a_field_and_every_field_a_row():
    assert [row.name for row in SETTINGS] == [
        name for name in Settings.__dataclass_fields__ if name not in ("file", "given")
    ]


def test_the_defaults_in_the_table_are_those_that_hold(tmp_path):
    held = load(tmp_path, {})
    for row in SETTINGS:
        if row.name not in ("data_dir", "store", "ranking_weights"):  # said in words
            assert settings._value(row, row.default, Path("/"), row.env) == getattr(held, row.name), row.name


def test_the_data_folder_is_the_variable_then_xdg_then_the_home(tmp_path):
    assert load(tmp_path, {"CODEQUARRY_DATA_DIR": "/d", "XDG_DATA_HOME": "/x"}).data_dir == Path("/d")
    assert load(tmp_path, {"XDG_DATA_HOME": "/x"}).data_dir == Path("/x/codequarry")
    assert load(tmp_path, {}).data_dir == Path.home() / ".local/share/codequarry"
    assert load(tmp_path, {"XDG_DATA_HOME": "relative"}).data_dir == Path.home() / ".local/share/codequarry"


def test_the_index_is_the_store_then_elasticsearch_then_the_data_folder(tmp_path):
    elastic = "http://localhost:9200"
    assert load(tmp_path, {"CODEQUARRY_DATA_DIR": "/d"}).store == "/d/index"
    assert load(tmp_path, {"CODEQUARRY_ELASTICSEARCH_URL": elastic}).store == elastic
    assert load(tmp_path, {"CODEQUARRY_ELASTICSEARCH_URL": elastic, "CODEQUARRY_STORE": "/s"}).store == "/s"


def test_a_server_in_the_environment_beats_a_store_in_the_file(tmp_path):
    write(tmp_path, 'store = "here"')
    assert load(tmp_path, {}).store == str(tmp_path / "here")
    assert load(tmp_path, {"CODEQUARRY_ELASTICSEARCH_URL": "http://es:9200"}).store == "http://es:9200"


def test_the_nearest_file_upward_is_read_and_the_environment_goes_before_it(tmp_path):
    write(tmp_path, 'model = "hash:8"')
    near = write(
        tmp_path / "a",
        'model = "hash:64"\nworkers = 3\ninclude_generated = true\nmax_file_bytes = "2 MB"\napi_keys = ["k", "l"]',
    )
    (tmp_path / "a" / "b").mkdir()
    held = load(tmp_path / "a" / "b", {"CODEQUARRY_WORKERS": "5"})
    assert (held.model, held.workers, held.include_generated, held.max_file_bytes) == ("hash:64", 5, True, 2_000_000)
    assert held.api_keys == ("k", "l")
    assert held.file == near
    assert held.given == {"model", "workers", "include_generated", "max_file_bytes", "api_keys"}


def test_paths_are_meant_from_where_they_are_written(tmp_path):
    write(tmp_path, 'data_dir = "d"')
    (tmp_path / "below").mkdir()
    assert load(tmp_path / "below", {}).data_dir == tmp_path / "d"
    assert load(tmp_path / "below", {"CODEQUARRY_DATA_DIR": "e"}).data_dir == tmp_path / "below" / "e"


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("CODEQUARRY_WORKERS", "many", "CODEQUARRY_WORKERS: 'many' is not a whole number from 0"),
        ("CODEQUARRY_WORKERS", "-1", "CODEQUARRY_WORKERS: '-1' is not a whole number from 0"),
        ("CODEQUARRY_MODEL_DEVICE", "gpu", "CODEQUARRY_MODEL_DEVICE: 'gpu' is not one of auto, cpu, cuda, mps"),
        ("CODEQUARRY_INCLUDE_GENERATED", "maybe", "CODEQUARRY_INCLUDE_GENERATED: 'maybe' is not true or false"),
        (
            "CODEQUARRY_MAX_FILE_BYTES",
            "1 furlong",
            "CODEQUARRY_MAX_FILE_BYTES: '1 furlong' is not a size in bytes, like 500000, 500KB or 1MiB",
        ),
        (
            "CODEQUARRY_ELASTICSEARCH_URL",
            "es:9200",
            "CODEQUARRY_ELASTICSEARCH_URL: 'es:9200' is not an address that begins with http:// or https://",
        ),
    ],
)
def test_a_bad_value_names_the_variable_and_what_is_allowed(tmp_path, variable, value, says):
    with pytest.raises(SettingsError) as raised:
        load(tmp_path, {variable: value})
    assert raised.value.message == says
    assert raised.value.name == variable
    assert raised.value.hint


def test_a_bad_value_in_the_file_names_the_file(tmp_path):
    file = write(tmp_path, 'workers = "x"')
    with pytest.raises(SettingsError, match=r"workers in .*codequarry\.toml: 'x' is not a whole number"):
        load(tmp_path, {})
    file.write_text("workers = 1.5", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"'1.5' is not a whole number"):
        load(tmp_path, {})


def test_an_unknown_name_in_the_file_suggests_the_one_that_was_meant(tmp_path):
    write(tmp_path, 'modle = "code"')
    with pytest.raises(SettingsError) as raised:
        load(tmp_path, {})
    assert "unknown setting: modle" in raised.value.message
    assert raised.value.hint == "did you mean model?"


def test_a_file_that_is_not_toml_says_where(tmp_path):
    write(tmp_path, "model = ")
    with pytest.raises(SettingsError, match="is not TOML: Invalid value"):
        load(tmp_path, {})


def test_secrets_and_passwords_stay_out_of_messages_and_representations(tmp_path):
    held = load(
        tmp_path,
        {
            "CODEQUARRY_API_KEYS": "hush",
            "CODEQUARRY_ELASTICSEARCH_API_KEY": "hush",
            "CODEQUARRY_WEBHOOK_SECRET": "hush",
        },
    )
    assert "hush" not in repr(held)
    write(tmp_path, "webhook_secret = 12345")
    with pytest.raises(SettingsError) as raised:
        load(tmp_path, {})
    assert "12345" not in raised.value.message
    with pytest.raises(SettingsError) as raised:
        load(tmp_path / "nowhere", {"CODEQUARRY_ELASTICSEARCH_URL": "ftp://user:hush@host"})
    assert "hush" not in raised.value.message


def test_an_empty_variable_is_an_unset_one(tmp_path):
    assert load(tmp_path, {"CODEQUARRY_WORKERS": "", "CODEQUARRY_MODEL": ""}) == load(tmp_path, {})


def test_without_a_file_the_toml_reader_is_not_imported(tmp_path):
    code = "import sys; from codequarry import settings; settings.load(); sys.exit('tomllib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == 0


@pytest.mark.parametrize("value", ["-1", "much", "nan", "inf", ""])
def test_a_number_that_cannot_weigh_is_refused(tmp_path, value):
    write(tmp_path, f'reranker_weight = "{value}"')
    with pytest.raises(SettingsError, match="not a number from 0"):
        load(tmp_path, {})


def test_a_number_may_have_a_fraction(tmp_path):
    write(tmp_path, "reranker_weight = 0.5")
    assert load(tmp_path, {}).reranker_weight == 0.5
    assert load(tmp_path, {"CODEQUARRY_RERANKER_WEIGHT": "1.25"}).reranker_weight == 1.25
