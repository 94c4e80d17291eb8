"""What the design promises of the whole: one name in the wheel, light imports, a public surface that is a decision."""

import subprocess
import sys
import zipfile
from pathlib import Path

import codequarry

ROOT = Path(__file__).parent.parent


def test_the_wheel_has_one_top_level_name(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"codequarry"}
    for part in ("ingest/chunks.py", "search/rank.py", "service/cli.py", "compose/servers.py", "store/elastic.py"):
        assert f"codequarry/{part}" in names or any(name.startswith(f"codequarry/{part[:-3]}/") for name in names), part
    models = {name.split("/")[2] for name in names if name.startswith("codequarry/data/")}
    assert models == {"code"}, "the wheel has one model, the shipped one"


def test_importing_codequarry_imports_nothing_beyond_the_standard_library():
    code = "import sys; before = set(sys.modules); import codequarry; print(*sorted(set(sys.modules) - before))"
    output = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    imported = output.split()
    assert [name for name in imported if name.startswith("codequarry")] == ["codequarry"]
    assert {name.split(".")[0] for name in imported} - set(sys.stdlib_module_names) == {"codequarry"}


def test_the_public_names_are_these():
    assert codequarry.__all__ == [
        "__version__",
        "Answer",
        "CodeSearch",
        "CodequarryError",
        "FileText",
        "Hit",
        "Prompt",
        "PromptBuilder",
        "Snippet",
        "Source",
        "connect",
    ]
    for name in codequarry.__all__:
        assert getattr(codequarry, name) is not None
