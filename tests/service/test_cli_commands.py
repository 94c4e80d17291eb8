import json
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest
from commandline import FILES, Command, fill, git, repository

HIT = "repo commit branch path start_line end_line language symbol kind score url modified text".split()


# ------------------------------------------------------------------------------------------------------------- searching


def test_a_search_prints_ranked_code_with_its_place(indexed):
    done = indexed("search", "retry when the connection breaks")
    assert (done.returncode, done.stderr) == (0, "")
    titles = [line for line in done.stdout.splitlines() if re.match(r"\d+ ", line)]
    assert titles[0].startswith("1 example.org/acme/pay ")
    assert any("src/client.py:" in title for title in titles)
    assert re.search(r"^7[-:]    def retry\(self, call, attempts\):$", done.stdout, re.MULTILINE)
    assert "\x1b" not in done.stdout


def test_the_json_of_a_search_has_the_names_that_must_not_change(indexed):
    answer = indexed.json("search", "ParseConfig")
    assert {"hits", "notes", "next_cursor", "took_ms"} <= set(answer)
    hit = answer["hits"][0]
    assert set(HIT) <= set(hit)
    commit = git(indexed.repo, "rev-parse", "HEAD")
    assert (hit["repo"], hit["commit"], hit["path"], hit["language"]) == (
        "example.org/acme/pay",
        commit,
        "src/parse.go",
        "go",
    )
    assert hit["symbol"] == "ParseConfig"
    assert not hit["modified"]
    lines = FILES["src/parse.go"].split("\n")
    assert hit["text"].split("\n") == lines[hit["start_line"] - 1 : hit["end_line"]]


def test_a_search_that_finds_nothing_says_so_and_gives_1(indexed):
    done = indexed("search", '"no such words anywhere"')
    assert (done.returncode, done.stdout) == (1, "")
    assert "nothing found" in done.stderr
    assert indexed.json("search", '"no such words anywhere"', code=1)["hits"] == []


def test_matches_that_are_not_shown_are_counted_and_can_be_seen(command, tmp_path):
    text = "".join(f'def f{n}(x):\n    """{"word " * 40}"""\n    return needle(x, {n})\n\n\n' for n in range(60))
    assert command("index", fill(tmp_path / "app", {"many.py": text})).returncode == 0
    (hit,) = command.json("search", '"needle(x,"')["hits"]
    shown = {number for piece in (hit, *hit["snippets"]) for number in piece["matched_lines"]}
    assert hit["more_matches"] > 0 and len(shown) < 60
    done = command("search", '"needle(x,"')
    assert f" {hit['more_matches']} more places match" in done.stdout.splitlines()[0]
    assert "--all-matches" in done.stderr
    done = command("search", '"needle(x,"', "--all-matches")
    assert done.stderr == ""
    assert done.stdout.splitlines()[0].endswith(" many.py (code, 60 lines)")
    assert done.stdout.splitlines()[1:] == [f"{5 * n + 3}:    return needle(x, {n})" for n in range(60)]
    _, on_terminal = command.on_terminal("search", '"needle(x,"', "--all-matches", env={"NO_COLOR": "1"})
    assert len([line for line in on_terminal.splitlines() if line.startswith("> ")]) == 60


def test_filters_may_stand_in_options(indexed):
    def paths(*words):
        return {
            hit["path"]
            for hit in json.loads(indexed("search", "retry parse payments", "--json", *words).stdout)["hits"]
        }

    assert paths("--lang", "go") == {"src/parse.go"}
    assert paths("--path", "*.py", "--path", "*.go") == {"src/client.py", "src/parse.go"}
    assert paths("--repo", "acme/pay", "--lang", "go") == {"src/parse.go"}
    assert paths("--lang", "cobol") == set()
    assert paths("--symbol", "Client") == {"src/client.py"}


def test_an_explanation_names_the_legs(indexed):
    assert indexed("search", "retry", "--explain").stdout != indexed("search", "retry").stdout
    assert all(hit["why"] for hit in indexed.json("search", "retry", "--explain")["hits"])


def test_the_limit_is_kept_and_the_cursor_goes_on(indexed):
    first = indexed.json("search", "payments retry parse", "--limit", "1")
    assert len(first["hits"]) == 1
    second = indexed.json("search", "payments retry parse", "--limit", "1", "--cursor", first["next_cursor"])
    assert len(second["hits"]) == 1
    assert second["hits"][0]["path"] != first["hits"][0]["path"]


def test_a_query_may_come_from_standard_input(indexed):
    done = indexed("search", "-", "--json", stdin=b"ParseConfig\n")
    assert json.loads(done.stdout)["hits"][0]["path"] == "src/parse.go"
    done = indexed("search", "-", stdin=b"x" * 65537)
    assert done.returncode == 2
    assert "65,536 bytes" in done.stderr


def test_before_anything_is_indexed_a_search_says_what_to_do(command):
    done = command("search", "anything")
    assert done.returncode == 3
    assert done.stderr.startswith("codequarry: ")
    assert "codequarry index" in done.stderr
    assert not command.data.exists()


def test_a_changed_file_is_found_as_it_stands_unless_that_is_not_wanted(command, tmp_path):
    repo = repository(tmp_path / "fresh", FILES)
    assert command("index", repo).returncode == 0
    fill(repo, {"src/new.py": "def brandnew_thing():\n    pass\n"})
    assert command.json("search", '"brandnew_thing"', "--no-refresh", code=1)["hits"] == []
    (hit,) = command.json("search", '"brandnew_thing"')["hits"]
    assert (hit["path"], hit["modified"]) == ("src/new.py", True)


# --------------------------------------------------------------------------------------------------- the other questions


def test_a_budget_that_holds_nothing_prints_nothing_but_why(indexed):
    said = indexed("prompt", "how are charges retried", "--budget", "1")
    assert (said.returncode, said.stdout) == (1, "")
    assert "A budget of 1 token holds no code" in said.stderr


def test_a_prompt_stays_within_its_budget_and_cites(indexed):
    made = indexed.json("prompt", "how are charges retried", "--budget", "500")
    assert made["tokens"] <= made["budget"] == 500
    assert any(block["path"] == "src/client.py" for block in made["blocks"])
    done = indexed("prompt", "how are charges retried")
    assert done.returncode == 0
    assert "src/client.py" in done.stdout
    json.loads(indexed("prompt", "retry", "--format", "json").stdout)
    assert indexed("prompt", "-", stdin=b"retry").returncode == 0


def test_read_prints_the_file_or_its_lines(indexed):
    assert indexed("read", "example.org/acme/pay", "src/client.py").stdout == FILES["src/client.py"]
    assert indexed("read", "acme/pay", "src/client.py:4-5").stdout == "".join(
        FILES["src/client.py"].splitlines(keepends=True)[3:5]
    )
    file = indexed.json("read", "acme/pay", "README.md:1")
    assert (file["repo"], file["path"], file["text"].rstrip("\n"), file["language"]) == (
        "example.org/acme/pay",
        "README.md",
        "# Payments",
        "markdown",
    )


def test_what_is_not_there_to_be_read_gives_1(indexed):
    for words in (("acme/pay", "src/clinet.py"), ("acme/nothing", "README.md")):
        done = indexed("read", *words)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("codequarry: ")


def test_status_shows_sources_and_what_was_left_out(indexed):
    done = indexed("status")
    assert done.returncode == 0
    assert re.search(
        r"^example.org/acme/pay@worktree:\S+  [0-9a-f]{8} on main  3 files  .*1 left out  indexed just now$",
        done.stdout,
        re.MULTILINE,
    )
    (source,) = indexed.json("status")["sources"]
    assert (source["repo"], source["files"], source["skipped"], source["building"]) == (
        "example.org/acme/pay",
        3,
        1,
        False,
    )
    done = indexed("status", "--skipped", "acme/pay")
    assert re.search(r"^binary .*logo\.bin", done.stdout, re.MULTILINE)
    (source,) = indexed.json("status", "--skipped")["sources"]
    assert [(one["path"], one["reason"]) for one in source["left_out"]] == [("logo.bin", "binary")]
    assert indexed("status", "acme/nothing").returncode == 1


def test_dump_prints_a_line_for_each_chunk(indexed):
    done = indexed("dump")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert {row[2] for row in rows} == set(FILES)
    assert all(len(row) == 11 for row in rows)
    objects = [json.loads(line) for line in indexed("dump", "--json").stdout.splitlines()]
    assert [row["path"] for row in objects] == [row[2] for row in rows]
    assert indexed("dump", "acme/pay").stdout == done.stdout


def test_repositories_are_listed_and_removed(command, tmp_path):
    for name in ("one", "two"):
        assert command("index", repository(tmp_path / name, FILES)).returncode == 0
    listed = command("repositories").stdout.splitlines()
    assert [line.split("\t")[0] for line in listed] == ["example.org/acme/one", "example.org/acme/two"]
    removed = command.json("repositories", "remove", "acme/one")["removed"]
    assert [source["repo"] for source in removed] == ["example.org/acme/one"]
    assert [source["repo"] for source in command.json("repositories")["repositories"]] == ["example.org/acme/two"]
    assert command("repositories", "remove", "acme/one").returncode == 1
    assert (tmp_path / "one" / "README.md").exists()
    assert command("repositories", "remove", "acme/two").stdout.startswith("removed example.org/acme/two@worktree:")
    assert command("repositories").returncode == 1


def test_a_folder_answers_to_its_own_name_and_removing_it_leaves_the_repository_s_branches(command, tmp_path):
    repo = repository(tmp_path / "pay", FILES)
    clone = tmp_path / "my-clone"
    git(tmp_path, "clone", "-q", str(repo), str(clone))
    git(clone, "remote", "set-url", "origin", "https://example.org/acme/pay.git")
    assert command("index", clone).returncode == 0
    assert command("index", clone, "--branch", "main").returncode == 0
    hits = command.json("search", "repo:my-clone retry")["hits"]
    assert hits and {hit["repo"] for hit in hits} == {"example.org/acme/pay"}
    for name in ("my-clone", clone, "../my-clone"):
        (source,) = command.json("status", name)["sources"]
        assert source["branch"] == f"worktree:{clone}"
    assert command("read", "my-clone", "README.md").stdout == FILES["README.md"]
    assert command("read", "../my-clone/.", "README.md").stdout == FILES["README.md"]
    for path in ("../my-clone", clone, f"{clone}/"):
        assert command("search", "retry", "--repo", path).returncode == 0
    assert command("search", "retry", "--repo", ".").returncode == 1
    (removed,) = command.json("repositories", "remove", "my-clone")["removed"]
    assert removed["branch"] == f"worktree:{clone}"
    assert [source["branch"] for source in command.json("repositories")["repositories"]] == ["main"]


# -------------------------------------------------------------------------------------------------------------- indexing


def test_a_folder_of_which_nothing_can_be_searched_is_remarked_on(command, tmp_path):
    (tmp_path / "bare").mkdir()
    assert "no file there can be searched: there is none" in command("index", tmp_path / "bare").stdout
    assert "--skipped says why" in command("index", fill(tmp_path / "binary", {"a.bin": b"\0" * 100})).stdout


def test_one_is_not_many(command, tmp_path):
    assert "1 file (1 added)  1 chunk " in command("index", fill(tmp_path / "app", {"a.py": "x = 1\n"})).stdout


def test_index_and_status_call_the_same_number_by_the_same_words(command, tmp_path):
    # Latin-1 has fewer bytes than the text that is made of it, so that the two numbers differ.
    folder = fill(tmp_path / "app", {"a.txt": ("x" * 500 + "\n\xe9" * 500).encode("latin-1")})
    done = command("index", folder)
    assert re.search(r"  2\.0 kB of text  read 1\.5 kB in [\d.]+ s(, [\d.]+ .?B/s)?$", done.stdout, re.MULTILINE), (
        done.stdout
    )
    assert "2.0 kB of text" in (status := command("status")).stdout
    assert "2.0 kB of text" in status.stderr
    assert re.search(r"  2\.0 kB of text  nothing to read, in [\d.]+ s$", command("index", folder).stdout, re.MULTILINE)


def test_index_says_what_it_did_and_running_again_that_nothing_was_to_do(command, tmp_path):
    repo = repository(tmp_path / "app", FILES)
    done = command("index", repo)
    assert done.returncode == 0
    assert "3 files (3 added)" in done.stdout
    assert "3 files (3 unchanged)" in command("index", repo).stdout
    (report,) = command.json("index", repo)["reports"]
    assert (report["repo"], report["unchanged"], report["added"]) == ("example.org/acme/app", 3, 0)
    assert report["state"]["files"] == 3
    assert command("index", repo, "--quiet").stdout == ""


def test_one_that_cannot_be_indexed_does_not_stop_the_others(command, tmp_path):
    repo = repository(tmp_path / "app", FILES)
    done = command("index", tmp_path / "nowhere", repo)
    assert done.returncode != 0
    assert str(tmp_path / "nowhere") in done.stderr
    assert "3 files (3 added)" in done.stdout
    done = command("index", tmp_path / "nowhere", repo, "--json")
    said = json.loads(done.stdout)
    assert [error["spec"] for error in said["errors"]] == [str(tmp_path / "nowhere")]
    assert len(said["reports"]) == 1


def test_a_branch_is_indexed_from_its_commits(command, tmp_path):
    repo = repository(tmp_path / "app", FILES)
    git(repo, "branch", "old")
    fill(repo, {"late.py": "def late_addition(): pass\n"})
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "late")
    assert command("index", repo, "--branch", "main", "--branch", "old").returncode == 0
    assert {source["branch"] for source in command.json("status")["sources"]} == {"main", "old"}
    assert command("search", "late_addition", "--branch", "main").returncode == 0
    hits = json.loads(command("search", '"late_addition"', "--branch", "old", "--json").stdout)["hits"]
    assert hits == []


def test_generated_files_are_left_out_unless_wanted(command, tmp_path):
    repo = repository(
        tmp_path / "app", {**FILES, "made.py": "generated_name = 1\n", ".gitattributes": "made.py linguist-generated\n"}
    )
    command("index", repo)
    assert command("search", '"generated_name"').returncode == 1
    command("index", repo, "--include-generated")
    assert command("search", '"generated_name"', "--no-refresh").returncode == 0


def test_names_that_are_no_text_survive(command, tmp_path):
    folder = fill(tmp_path / "odd", {"a\nb.py": "def newline_name(): pass\n"})
    with open(os.fsencode(folder) + b"/caf\xe9.py", "wb") as file:
        file.write(b"def latin_name(): pass\n")
    assert command("index", folder).returncode == 0
    (hit,) = command.json("search", '"latin_name"')["hits"]
    assert hit["path"] == "caf\udce9.py"
    assert " caf\udce9.py:1-1" in command("search", '"latin_name"').stdout
    assert r" a\nb.py:1-1" in command("search", '"newline_name"').stdout
    (hit,) = command.json("search", '"newline_name"')["hits"]
    assert hit["path"] == "a\nb.py"
    assert command("read", hit["repo"], "caf\udce9.py").stdout == "def latin_name(): pass\n"


# --------------------------------------------------------------------------------------------- terminals, pipes, signals


def test_a_terminal_gets_colours_and_numbers_and_hostile_text_is_not_obeyed(command, tmp_path):
    folder = fill(
        tmp_path / "evil",
        {"a\x1b[2Jb.py": "def evil_name():\n    return '\x1b]0;owned\x07 \u202e'  # " + "long " * 40 + "\n"},
    )
    assert command("index", folder).returncode == 0
    code, shown = command.on_terminal("search", "evil_name")
    assert code == 0
    assert "\x1b[1;36ma\\x1b[2Jb.py:1-2\x1b[0m" in shown
    assert r"\x1b]0;owned\x07 \u202e" in re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert set(re.findall(r"\x1b[^m]*m?", shown)) <= set(re.findall(r"\x1b\[[0-9;]*m", shown))
    for line in shown.replace("\r", "").splitlines()[1:]:
        assert len(re.sub(r"\x1b\[[0-9;]*m", "", line)) <= 80
    code, shown = command.on_terminal("search", "evil_name", env={"NO_COLOR": "1"})
    assert (code, "\x1b" in shown) == (0, False)
    assert r"a\x1b[2Jb.py:1-2" in shown
    _, shown = command.on_terminal("search", "evil_name", "--json")
    assert not set(shown) & {"\x1b", "\x07", "\u202e"}
    _, shown = command.on_terminal("read", f"local{folder}", "a\x1b[2Jb.py", env={"NO_COLOR": "1"})
    assert r"\x1b]0;owned\x07 \u202e" in shown


def test_a_reader_that_stops_reading_is_no_error(command, tmp_path):
    files = {f"f{number}.py": f"def function_{number}(): pass\n" for number in range(1500)}
    assert command("index", fill(tmp_path / "many", files)).returncode == 0
    dump = command.start("dump", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    dump.stdout.readline()
    dump.stdout.close()
    assert dump.stderr.read() == b""
    dump.stderr.close()
    assert dump.wait(60) == 141


def test_output_that_cannot_be_written_is_an_error(indexed):
    with open("/dev/full", "w", encoding="utf-8") as full:
        search = indexed.start("search", "retry", stdout=full, stderr=subprocess.PIPE)
        _, said = search.communicate(timeout=60)
    assert search.returncode == 4
    assert said.decode().startswith("codequarry: No space left on device\n")
    closed = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m codequarry search retry >&-"],
        cwd=indexed.home,
        env=indexed.env,
        capture_output=True,
        check=False,
    )
    assert (closed.returncode, closed.stderr) == (0, b"")


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A folder that takes several batches, and worker processes, to index."""
    files = {
        f"p{number % 40}/m{number}.py": "\n".join(
            f"def task_{number}_{line}(value):\n    return value + {line}\n" for line in range(150)
        )
        for number in range(900)
    }
    return fill(tmp_path_factory.mktemp("large"), files)


def test_interrupted_indexing_shows_a_bar_says_how_to_go_on_and_goes_on(tmp_path, large):
    command = Command(tmp_path / "home")
    sent = []

    def interrupt(shown, process):
        if not sent and re.search(r"reading  [1-9]\d*/900 files", shown):
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process of the job
            sent.append(True)

    code, shown = command.on_terminal("index", large, until=interrupt)
    assert (sent, code) == ([True], 130)
    assert "run the same command again to go on" in shown
    assert "Traceback" not in shown
    done = command("index", large)
    assert done.returncode == 0, done.stderr
    clean = Command(tmp_path / "clean")
    assert clean("index", large).returncode == 0
    assert command("dump").stdout == clean("dump").stdout


def test_while_another_process_writes_a_search_answers_at_once_and_says_what_it_leaves_out(command, tmp_path, large):
    repo = repository(tmp_path / "app", FILES)
    assert command("index", repo).returncode == 0
    fill(repo, {"new.py": "def brandnew_thing(): pass\n"})
    done = []

    def ask(shown, process):
        if not done and re.search(r"reading  [1-9]\d*/900 files", shown):
            os.kill(process.pid, signal.SIGSTOP)  # it holds the lock for as long as the questions take
            done.append(command("search", "ParseConfig"))
            done.append(command("index", repo))
            os.kill(process.pid, signal.SIGCONT)

    assert command.on_terminal("index", large, until=ask)[0] == 0
    search, index = done
    assert search.returncode == 0
    assert "src/parse.go" in search.stdout
    assert "has changed and is not indexed yet" in search.stderr
    assert index.returncode == 3
    assert index.stderr.startswith("codequarry: ")
    assert command("search", '"brandnew_thing"').returncode == 0


def lines_of(process):
    for line in iter(process.stdout.readline, b""):
        yield line.decode()


def test_watch_indexes_what_changes_and_says_so(command, tmp_path):
    repo = repository(tmp_path / "app", FILES)
    watch = command.start("watch", repo, "--every", "0.1", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    says = lines_of(watch)
    assert "3 added" in next(says)
    fill(repo, {"later.py": "def later_on(): pass\n"})
    assert "app@worktree:" in (line := next(says))
    assert "1 added" in line
    assert command("search", '"later_on"', "--no-refresh").returncode == 0
    (repo / "later.py").unlink()
    assert "1 removed" in next(says)
    watch.send_signal(signal.SIGINT)
    _, said = watch.communicate(timeout=60)
    assert watch.returncode == 0
    assert said.decode().splitlines()[-1] == "stopped watching"


def test_watch_once_looks_at_every_indexed_folder(command, tmp_path):
    assert command("watch", "--once").returncode in (1, 3)
    repos = [repository(tmp_path / name, FILES) for name in ("one", "two")]
    assert command("index", *repos).returncode == 0
    done = command("watch", "--once")
    assert (done.stdout, done.stderr) == ("", "looked at 2 folders: nothing has changed\n")
    fill(repos[1], {"x.py": "x = 1\n"})
    done = command("watch", "--once")
    assert "two@" in done.stdout
    assert done.stderr == "looked at 2 folders: 1 had changed\n"
    assert command("watch", repos[0], "--once").stderr == "looked at 1 folder: nothing has changed\n"
    (reports,) = [command.json("watch", "--once")] if fill(repos[0], {"x.py": "x = 1\n"}) else []
    assert (reports["repo"], reports["added"]) == ("example.org/acme/one", 1)
    shutil.rmtree(repos[1])
    done = command("watch", "--once")
    assert done.returncode == 4
    assert done.stderr.splitlines()[-1] == "looked at 2 folders: nothing has changed, 1 could not be indexed"


def test_dev_status_and_down_say_when_nothing_runs(command):
    done = command("dev", "status")
    assert (done.returncode, done.stdout) == (1, "")
    assert "codequarry dev up" in done.stderr
    assert command.json("dev", "down") == {"stopped": []}


@pytest.mark.elasticsearch
def test_all_of_it_works_on_elasticsearch_too(command, tmp_path, elasticsearch_url):
    repo = repository(tmp_path / "app", FILES)
    command.env |= {"CODEQUARRY_ELASTICSEARCH_URL": elasticsearch_url, "CODEQUARRY_ELASTICSEARCH_INDEX_PREFIX": "shell"}
    assert command("search", "retry").returncode == 3
    assert "3 files (3 added)" in command("index", repo).stdout
    assert command.json("search", '"def retry"')["hits"][0]["path"] == "src/client.py"
    assert command.json("status")["store"] == elasticsearch_url
    assert command("read", "acme/app", "src/client.py").stdout == FILES["src/client.py"]
    assert not (command.data / "index").exists()
    here = command("--store", "here", "index", repo)
    assert here.returncode == 0, here.stderr
    assert command("dump").stdout == command("--store", "here", "dump").stdout
    assert command("doctor").returncode == 0
    assert command("repositories", "remove", "acme/app").returncode == 0
    assert command("search", "retry").returncode == 1
    assert (
        command(
            "--store", elasticsearch_url, "status", env={"CODEQUARRY_ELASTICSEARCH_INDEX_PREFIX": "other"}
        ).returncode
        == 3
    )


def test_settings_come_from_the_nearest_file(command, tmp_path):
    fill(command.home, {"codequarry.toml": 'store = "elsewhere"\nmodel = "hash:64"\n'})
    assert command("index", repository(tmp_path / "app", FILES)).returncode == 0
    assert (command.home / "elsewhere").is_dir()
    assert command.json("status")["model"] == "hash:64"
