"""Repositories as they are found: equal names, odd files, odd names. Everything goes through the public way in."""

import os
import subprocess

import pytest

from codequarry import connect


def git(folder, *command):
    environment = {
        "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@example.org", "GIT_CONFIG_GLOBAL": os.devnull, "HOME": str(folder), "PATH": os.environ["PATH"],
    }  # fmt: skip
    return subprocess.run(
        ["git", "-C", folder, *command], check=True, capture_output=True, text=True, env=environment
    ).stdout.strip()


@pytest.fixture
def two_apis(tmp_path):
    """Two repositories called `api`, of two organisations, with every kind of odd file."""
    made = {}
    for organisation, word in (("acme", "invoice"), ("umbrella", "virus")):
        folder = tmp_path / organisation / "api"
        folder.mkdir(parents=True)
        git(folder, "init", "-q", "-b", "main")
        git(folder, "remote", "add", "origin", f"https://github.com/{organisation}/api.git")
        (folder / "service.py").write_text(f"def handle_{word}(request):\n    return '{word} of {organisation}'\n")
        made[organisation] = folder
    acme = made["acme"]
    (acme / "größe").mkdir()
    (acme / "größe" / "日本.py").write_text("def measure_width():\n    return 1\n")
    (acme / "passwords").symlink_to("/etc/passwd")
    (acme / "app.min.js").write_text("var a=1;" * 400_000)
    (acme / "latin.py").write_bytes("def café():\n    return 'crème brûlée'\n".encode("latin-1"))
    (acme / "windows.py").write_bytes(b"def carriage_return():\r\n    return 1\r\n")
    (acme / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0")
    for folder in made.values():
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", "all of it")
    return made


@pytest.mark.parametrize("branches", [(), ("main",)], ids=["work tree", "objects"])
def test_two_repositories_of_one_name_keep_their_own_identity(two_apis, store_location, branches):
    with connect(store_location("all")) as quarry:
        quarry.index(*two_apis.values(), branches=branches)
        for organisation, word in (("acme", "invoice"), ("umbrella", "virus")):
            hit = quarry.search(f"handle {word}").hits[0]
            assert (hit.repo, hit.path) == (f"github.com/{organisation}/api", "service.py")
            assert hit.commit == git(two_apis[organisation], "rev-parse", "HEAD")
            assert hit.branch == "main"
            assert hit.url == f"https://github.com/{organisation}/api/blob/{hit.commit}/service.py#L1-L2"
            only = quarry.search(word, repo=(f"{organisation}/api",)).hits
            assert {found.repo for found in only} == {f"github.com/{organisation}/api"}


@pytest.mark.parametrize("branches", [(), ("main",)], ids=["work tree", "objects"])
def test_odd_files_are_found_or_listed_with_a_reason(two_apis, store_location, branches):
    with connect(store_location("all")) as quarry:
        (report,) = quarry.index(two_apis["acme"], branches=branches)
        assert quarry.search("measure width").hits[0].path == "größe/日本.py"
        assert "crème brûlée" in quarry.search("café").hits[0].text
        windows = quarry.search("carriage return").hits[0]
        assert (windows.start_line, windows.end_line) == (1, 2)
        reasons = {left_out.path: left_out.reason for left_out in quarry.skipped(report.source)}
        assert reasons == {"passwords": "symlink", "app.min.js": "too-large", "logo.png": "binary"}
        assert not any("root:" in hit.text for hit in quarry.search("root bash nologin").hits)


def test_a_changed_work_tree_is_marked_and_found_without_being_asked(two_apis, store_location):
    folder = two_apis["acme"]
    with connect(store_location("all")) as quarry:
        quarry.index(folder)
        (folder / "service.py").write_text("def refund_everything():\n    return 1\n")
        (folder / "new.py").write_text("def brand_new_thing():\n    return 1\n")
        changed = quarry.search("refund everything").hits[0]
        assert (changed.path, changed.modified, changed.url) == ("service.py", True, "")
        assert quarry.search("brand new thing").hits[0].path == "new.py"
        (folder / "new.py").unlink()
        assert "new.py" not in {hit.path for hit in quarry.search("brand new thing").hits}
        assert not quarry.search("refund everything", refresh=False).hits[0].text.startswith("def handle")


def test_a_mirror_and_a_work_tree_are_never_mixed(two_apis, store_location):
    folder = two_apis["acme"]
    (folder / "service.py").write_text("def only_on_disk():\n    return 1\n")
    with connect(store_location("all")) as quarry:
        quarry.index(folder, branches=("main",))
        assert not any("only_on_disk" in hit.text for hit in quarry.search("only_on_disk").hits)
        quarry.index(folder)
        found = quarry.search('"only_on_disk"').hits
        assert [(hit.path, hit.modified) for hit in found] == [("service.py", True)]
        committed = quarry.search('"handle_invoice"', branch=("main",)).hits
        assert any(not hit.modified and "handle_invoice" in hit.text for hit in committed)
