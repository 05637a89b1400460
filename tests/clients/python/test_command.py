"""The command, as a client of a running server."""

import json
import os
import subprocess

import pytest


@pytest.fixture
def puna(url):
    def run(*arguments, fails=False):
        command = [os.environ["PUNA_BINARY"], *map(str, arguments), "--url", url]
        done = subprocess.run(command, capture_output=True, timeout=120)
        assert (done.returncode != 0) == fails, done.stderr.decode()
        return done.stderr.decode() if fails else done.stdout

    return run


def test_files_go_and_come_back(puna, client, tmp_path):
    contents = {"Ärger.bin": bytes(range(256)) * 5000, "notes.md": b"# Notes\n"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    sent = puna("files", "upload", *(tmp_path / name for name in contents), "--expires-after", 3600)
    ids = sent.decode().split()
    assert len(ids) == 2
    listed = {file["id"]: file for file in json.loads(puna("files", "list", "--json", "--purpose", "user_data"))}
    for file_id, (name, content) in zip(ids, contents.items()):
        file = client.files.retrieve(file_id)
        assert (file.filename, file.bytes, file.expires_at - file.created_at) == (name, len(content), 3600)
        assert listed[file_id]["filename"] == name
        assert puna("files", "get", file_id) == content
        puna("files", "get", file_id, "--output", tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == content
        assert f"filename    {name}" in puna("files", "show", file_id).decode()
    assert puna("files", "rm", *ids).decode().split() == ["removed", ids[0], "removed", ids[1]]
    assert "there is no file" in puna("files", "show", ids[0], fails=True)


def test_a_folder_is_kept_in_a_store(puna, client, tmp_path):
    docs = tmp_path / "docs"
    (docs / "animals").mkdir(parents=True)
    (docs / "animals/llamas.md").write_text("# Llamas\n\nLlamas carry what people give them to carry.\n")
    (docs / "peru.txt").write_text("The capital of Peru is Lima.\n")
    (docs / ".hidden").write_text("nobody should see this\n")
    store = puna("stores", "create", "notes").decode().strip()
    try:
        assert puna("stores", "add", "notes", docs).decode() == "2 added, 0 removed, 0 unchanged\n"
        found = json.loads(puna("stores", "search", "notes", "what is the capital of Peru?", "--json"))["data"]
        assert found[0]["attributes"]["path"] == "docs/peru.txt"
        only = json.dumps({"type": "eq", "key": "path", "value": "docs/animals/llamas.md"})
        shown = puna("stores", "search", store, "capital", "--mode", "vector", "--filter", only).decode()
        assert "docs/animals/llamas.md" in shown and "peru.txt" not in shown

        # The second time only what changed goes to the server, and nothing stays of what it was.
        before = {file.id for file in client.files.list()}
        assert puna("stores", "add", "notes", docs).decode() == "0 added, 0 removed, 2 unchanged\n"
        assert {file.id for file in client.files.list()} == before
        (docs / "peru.txt").write_text("The capital of Peru is Lima, by the sea.\n")
        (docs / "animals/llamas.md").unlink()
        assert puna("stores", "add", "notes", docs, "--prune").decode() == "1 added, 2 removed, 0 unchanged\n"
        assert [file.attributes["path"] for file in client.vector_stores.files.list(store)] == ["docs/peru.txt"]
        assert len({file.id for file in client.files.list()} - before) == 1
        listed = {one["id"]: one for one in json.loads(puna("stores", "list", "--json"))}
        assert listed[store]["file_counts"]["completed"] == 1
        assert "docs/peru.txt" in puna("stores", "show", "notes").decode()
        puna("stores", "create", "notes")
        assert "several stores are called `notes`" in puna("stores", "show", "notes", fails=True)
    finally:
        files = [file.id for file in client.vector_stores.files.list(store)]
        for one in client.vector_stores.list():
            assert puna("stores", "rm", one.id).decode() == f"removed {one.id}\n"
        puna("files", "rm", *files)
    assert "no store is called `notes`" in puna("stores", "show", "notes", fails=True)


def test_mistakes_are_told(puna, tmp_path):
    assert "failed to read" in puna("files", "upload", tmp_path / "none", fails=True)
    assert "is not a file" in puna("files", "upload", tmp_path, fails=True)
    (tmp_path / "a").write_text("a")
    assert "`nothing` is no purpose" in puna("files", "upload", tmp_path / "a", "--purpose", "nothing", fails=True)
    assert "there is no file" in puna("files", "rm", "../models", fails=True)


def test_no_server_is_told(tmp_path):
    command = [os.environ["PUNA_BINARY"], "files", "list", "--url", "http://127.0.0.1:9"]
    done = subprocess.run(command, capture_output=True, timeout=60, text=True)
    assert (done.returncode, done.stderr.strip()) == (1, "error: no server answers at http://127.0.0.1:9; start one with `puna run`")
