"""A server whose disk is full: it says so, goes on with what needs no room, and works as ever once there is room again.

The disk is a small one in memory, which only the server sees; that takes a mount namespace, as root or as a user who may make one.
"""

import contextlib
import hashlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import httpx
import openai
import pytest
from conftest import model_of

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from harness import Server  # noqa: E402

MEBIBYTE = 1 << 20
# Room for the demo models, which take half of it, for what the databases write, and for some uploads.
SIZE = 48 * MEBIBYTE
NAMESPACES = [["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"]]
MOUNT = 'mount -t tmpfs -o "size=$0" tmpfs "$1"'
HELLO = [{"role": "user", "content": "Hello!"}]
TERMINAL = {"completed", "failed", "cancelled"}


@pytest.fixture(scope="module")
def namespace(tmp_path_factory):
    """A command that runs another one where only that sees what is mounted."""
    refused = []
    for command in NAMESPACES:
        trial = [*command, "sh", "-c", MOUNT, str(SIZE), str(tmp_path_factory.mktemp("trial"))]
        try:
            tried = subprocess.run(trial, capture_output=True, text=True)
        except FileNotFoundError as missing:
            pytest.skip(f"no namespace can be made here: {missing}")
        if tried.returncode == 0:
            return command
        refused.append(tried.stderr.strip())
    pytest.skip(f"no disk can be mounted here: {'; '.join(refused)}")


class Disk:
    """What the server keeps its state on."""

    def __init__(self, server, home):
        # As the server sees it.
        self.folder = Path(f"/proc/{server.process.pid}/root{home}")
        self.ballast = self.folder / "ballast"

    def free(self):
        disk = os.statvfs(self.folder)
        return disk.f_bavail * disk.f_frsize

    def fill(self):
        """Leaves not a byte to anybody."""
        with self.ballast.open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
            while True:
                ballast.write(bytes(4096))
        assert self.free() == 0


class Served:
    """A server on a small disk, and what it has acknowledged."""

    def __init__(self, server, home):
        self.server = server
        self.disk = Disk(server, home)
        self.home = str(home)
        self.client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=120)
        self.model = model_of(self.client, "mistralrs", "llm")
        self.embedder = model_of(self.client, "sentence-transformers", "embedding")
        self.files, self.completions = {}, []

    def upload(self, name, content, purpose="assistants"):
        file = self.client.files.create(file=(name, content), purpose=purpose).id
        self.files[file] = hashlib.sha256(content).hexdigest()
        return file

    def delete(self, file):
        assert self.client.files.delete(file).deleted
        del self.files[file]

    def chat(self, **more):
        answer = self.client.chat.completions.create(model=self.model, messages=HELLO, max_tokens=8, **more)
        assert answer.choices[0].finish_reason
        return answer

    def keep(self):
        self.completions.append(self.chat(store=True).id)

    def make(self):
        return self.client.vector_stores.create(extra_body={"embedding_model": self.embedder}).id

    def attach(self, store, file):
        return self.client.vector_stores.files.create(file_id=file, vector_store_id=store)

    def settled(self, store, file):
        until = time.monotonic() + 300
        while time.monotonic() < until:
            attached = self.client.vector_stores.files.retrieve(file, vector_store_id=store)
            if attached.status in TERMINAL:
                return attached.status, attached.last_error
            time.sleep(0.1)
        raise AssertionError(f"still {attached.status}")

    def insert(self, store):
        """Chunks of a client's own."""
        chunk = {"content": "x", "metadata": {}, "embedding": [0.5] * 384, "embedding_model": self.embedder, "embedding_dimension": 384}
        chunks = [chunk | {"chunk_id": str(number), "chunk_metadata": {"document_id": "x"}} for number in range(100)]
        answer = httpx.post(f"{self.server.url}/v1/vector-io/insert", json={"vector_store_id": store, "chunks": chunks}, timeout=60)
        if answer.is_error:
            raise openai.InternalServerError("refused", response=answer, body=answer.json()["error"])

    def refuses(self, ask):
        """Whatever is asked for, it says that its storage is full, and not where that is."""
        with pytest.raises(openai.InternalServerError) as refused:
            ask()
        error = refused.value
        assert (error.status_code, error.code) == (507, "storage_full"), error.response.text
        assert "the server's storage is full" in error.response.text
        assert self.home not in error.response.text and "/" not in error.body["message"], error.response.text

    def holds_all(self):
        """Whether everything is there that was acknowledged, and nothing else."""
        assert {file.id for file in self.client.files.list()} == set(self.files)
        for file, digest in self.files.items():
            assert hashlib.sha256(self.client.files.content(file).read()).hexdigest() == digest
        for completion in self.completions:
            assert self.client.chat.completions.retrieve(completion).id == completion

    def finds(self, store, file):
        for mode in ("vector", "keyword"):
            found = self.client.vector_stores.search(store, query="what is the capital of Peru?", extra_body={"search_mode": mode}).data
            assert file in {hit.file_id for hit in found}, mode


@pytest.fixture
def served(namespace, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    within = [*namespace, "sh", "-c", f'{MOUNT} && shift && exec "$@"', str(SIZE), str(home)]
    server = Server(Path(os.environ["PUNA_BINARY"]).parent, home, within=within)
    try:
        served = Served(server, home)
        yield served
        served.client.close()
        server.end()
    finally:
        server.kill()


def test_uploads_that_fill_the_disk_leave_room_to_delete(served):
    served.keep()
    lima = served.upload("lima.txt", b"The capital of Peru is Lima.")
    later = served.upload("later.txt", b"Llamas are animals of the mountains. " * 400)
    store = served.make()
    served.attach(store, lima)
    assert served.settled(store, lima) == ("completed", None)

    content = random.Random(7).randbytes(3 * MEBIBYTE)
    large = []
    served.refuses(lambda: [large.append(served.upload("noise.bin", content, "user_data")) for _ in range(SIZE // len(content))])
    assert len(large) > 2 and served.disk.free() > 0
    # The server's end of what was refused is gone, too; then the rest goes in small pieces.
    served.refuses(lambda: [large.append(served.upload("noise.bin", content[: MEBIBYTE // 4], "user_data")) for _ in range(40)])
    for ask in (served.keep, lambda: served.insert(store)):
        served.refuses(ask)

    # A job waits for room.
    served.attach(store, later)
    assert served.chat(store=False).choices and served.chat().choices
    served.finds(store, lima)
    served.holds_all()
    assert served.client.vector_stores.files.retrieve(later, vector_store_id=store).status == "in_progress"

    for file in large:
        served.delete(file)
    assert served.settled(store, later) == ("completed", None)
    served.finds(store, lima)
    served.keep()
    served.upload("noise.bin", content, "user_data")
    served.insert(store)
    served.holds_all()


def test_a_disk_without_a_byte_left_loses_nothing(served):
    served.keep()
    lima = served.upload("lima.txt", b"The capital of Peru is Lima.")
    later = served.upload("later.txt", b"Llamas are animals of the mountains. " * 400)
    store = served.make()
    served.attach(store, lima)
    assert served.settled(store, lima) == ("completed", None)

    served.disk.fill()
    for _ in range(2):
        for ask in (
            lambda: served.upload("small.txt", b"x"),
            served.keep,
            served.make,
            lambda: served.attach(store, later),
            lambda: served.insert(store),
        ):
            served.refuses(ask)
        assert served.chat(store=False).choices and served.chat().choices
        served.finds(store, lima)
        served.holds_all()

    served.disk.ballast.unlink()
    served.attach(store, later)
    assert served.settled(store, later) == ("completed", None)
    served.keep()
    served.delete(served.upload("small.txt", b"x"))
    served.insert(store)
    served.finds(store, lima)
    served.holds_all()
    assert served.client.chat.completions.delete(served.completions.pop()).deleted
    assert served.client.vector_stores.delete(store).deleted
