"""What users send by mistake or in bad faith: each gets an error that says what was wrong and what would be right, or waits, and nothing is lost.

Two things of this kind are looked at elsewhere: a full disk in `test_full_disk.py`, and a PostgreSQL that goes away and comes back in `tests/replicas`.
"""

import json
import re
import socket
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import bombs
import httpx
import openai
import pytest
from conftest import model_of

TERMINAL = {"completed", "failed", "cancelled"}
# `server.limits.max_file_bytes`, which the distribution leaves as it is.
MOST_BYTES = 512 << 20
MEBIBYTE = 1 << 20
# How much the server may grow while somebody sends it what it does not take.
SLACK = 96 * MEBIBYTE


@pytest.fixture(autouse=True)
def nothing_stays(client):
    stores, files = {store.id for store in client.vector_stores.list()}, {file.id for file in client.files.list()}
    yield
    for store in client.vector_stores.list():
        if store.id not in stores:
            client.vector_stores.delete(store.id)
    new = [file.id for file in client.files.list(limit=10_000) if file.id not in files]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(client.files.delete, new))


@pytest.fixture(scope="module")
def embedder(client):
    return model_of(client, "sentence-transformers", "embedding")


@pytest.fixture
def make(client, embedder):
    return lambda **store: client.vector_stores.create(**store, extra_body={"embedding_model": embedder})


def upload(client, name, content):
    return client.files.create(file=(name, content), purpose="assistants").id


def settled(retrieve):
    """What is asked for, once it is not in progress any more."""
    until = time.monotonic() + 300
    while time.monotonic() < until:
        answer = retrieve()
        if answer.status in TERMINAL:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"still {answer.status}: {answer}")


def ingested(client, store, name, content):
    """A file in a store, once it is there or has failed."""
    file = upload(client, name, content)
    client.vector_stores.files.create(file_id=file, vector_store_id=store)
    return settled(lambda: client.vector_stores.files.retrieve(file, vector_store_id=store))


def process(url, name, content):
    """What the server answers that is to read a file."""
    return httpx.post(f"{url}/v1alpha/file-processors/process", files={"file": (name, content)}, timeout=300)


def resident_bytes(url):
    """How much memory the server has."""
    return int(re.search(r"^process_resident_memory_bytes (\d+)", httpx.get(f"{url}/metrics").text, re.M)[1])


class Watch:
    """How much memory the server had at the most."""

    def __init__(self, url):
        self.url, self.before, self.most = url, resident_bytes(url), 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.look)

    def look(self):
        while not self.over.wait(0.05):
            self.most = max(self.most, resident_bytes(self.url))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.most = max(self.most, resident_bytes(self.url))

    @property
    def grown(self):
        return self.most - self.before


def test_a_file_of_no_bytes_is_kept_and_not_read(client, url, make):
    file = upload(client, "empty.txt", b"")
    assert client.files.retrieve(file).bytes == 0
    assert client.files.content(file).read() == b""
    refused = process(url, "empty.txt", b"")
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "file")
    assert "empty" in refused.json()["error"]["message"]
    store = make().id
    client.vector_stores.files.create(file_id=file, vector_store_id=store)
    failed = settled(lambda: client.vector_stores.files.retrieve(file, vector_store_id=store))
    assert (failed.status, failed.last_error.code, failed.last_error.message) == ("failed", "invalid_file", "the file is empty")


BOUNDARY = "what-is-between"
BEFORE_FILE = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="large.bin"\r\n\r\n'
).encode()


def send_upload(url, transfer, pieces):
    """Sends an upload piece by piece until it is answered. Answers the status, the error and how many bytes were sent."""
    place = urllib.parse.urlsplit(url)
    head = f"POST /v1/files HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n{transfer}\r\n\r\n"
    sent = 0
    with socket.create_connection((place.hostname, place.port), timeout=60) as connection:
        connection.sendall(head.encode())
        try:
            for piece in pieces:
                connection.setblocking(False)
                try:
                    if connection.recv(1, socket.MSG_PEEK):
                        break
                except BlockingIOError:
                    pass
                finally:
                    connection.settimeout(60)
                connection.sendall(piece)
                sent += len(piece)
        except (BrokenPipeError, ConnectionResetError):
            # The server has said what it had to, and listens no more.
            pass
        answer = b""
        while b"\r\n\r\n" not in answer or not answer.rstrip().endswith(b"}"):
            more = connection.recv(1 << 16)
            assert more, f"the server closed the connection after {answer!r}"
            answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body[body.index(b"{") : body.rindex(b"}") + 1])["error"], sent


def zeros(chunked):
    """The form, with two gibibytes in its file."""
    frame = (lambda piece: f"{len(piece):x}\r\n".encode() + piece + b"\r\n") if chunked else (lambda piece: piece)
    yield frame(BEFORE_FILE)
    piece = frame(bytes(MEBIBYTE))
    for _ in range(2048):
        yield piece


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "as it comes"])
def test_an_upload_over_the_bound_is_cut(client, url, chunked):
    files = [file.id for file in client.files.list(limit=10_000)]
    transfer = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(BEFORE_FILE) + 2048 * MEBIBYTE}"
    with Watch(url) as watch:
        status, error, sent = send_upload(url, transfer, zeros(chunked))
    assert (status, error["param"], error["code"]) == (413, "file", "file_too_large"), error
    assert f"{MOST_BYTES} bytes" in error["message"] and "max_file_bytes" in error["message"]
    # What was announced is refused before it is read; of the rest, what goes beyond the bound is what is under way.
    beyond = MOST_BYTES if chunked else 0
    assert beyond <= sent < beyond + 128 * MEBIBYTE
    assert watch.grown < SLACK, f"{watch.grown} bytes"
    assert [file.id for file in client.files.list(limit=10_000)] == files


@pytest.mark.parametrize("bomb", [bombs.pdf_bomb, bombs.docx_bomb, bombs.xlsx_bomb])
def test_a_file_that_unpacks_to_gigabytes_is_refused(client, url, make, bomb):
    content = bomb()
    assert len(content) < 4 * MEBIBYTE
    name = f"bomb.{bomb.__name__.removesuffix('_bomb')}"
    store = make().id
    with Watch(url) as watch:
        refused = process(url, name, content)
        failed = ingested(client, store, name, content)
    error = refused.json()["error"]
    assert refused.status_code in (400, 413) and error["param"] == "file" and error["message"], error
    assert (failed.status, failed.last_error.code) == ("failed", "invalid_file"), failed
    assert failed.last_error.message
    assert watch.grown < SLACK, f"{watch.grown} bytes"
    # The next file is read as ever.
    sound = ingested(client, store, "lima.txt", b"The capital of Peru is Lima.")
    assert (sound.status, sound.last_error) == ("completed", None)
    assert client.vector_stores.retrieve(store).file_counts.failed == 1


def test_a_file_with_a_password_is_refused_by_name(client, url, make):
    content = bombs.pdf_with_password()
    refused = process(url, "secret.pdf", content)
    error = refused.json()["error"]
    assert (refused.status_code, error["param"], error["code"]) == (400, "file", "encrypted_file")
    failed = ingested(client, make().id, "secret.pdf", content)
    assert (failed.status, failed.last_error.code) == ("failed", "invalid_file")
    for message in (error["message"], failed.last_error.message):
        assert "password" in message and "send it without" in message


def test_a_file_that_is_deleted_while_it_is_ingested_is_gone(client, make):
    store = make().id
    texts = [f"This is the word{number}x of {number}. " * 4000 for number in range(6)]
    files = [upload(client, f"{number}.txt", text.encode()) for number, text in enumerate(texts)]
    batch = client.vector_stores.file_batches.create(store, file_ids=files)
    for file in files[::2]:
        assert client.files.delete(file).deleted
    batch = settled(lambda: client.vector_stores.file_batches.retrieve(batch.id, vector_store_id=store))
    assert batch.file_counts.completed == len(files[1::2]) and batch.file_counts.in_progress == 0
    assert {file.id for file in client.vector_stores.files.list(store) if file.status == "completed"} == set(files[1::2])
    for number, file in enumerate(files):
        found = client.vector_stores.search(store, query=f"word{number}x", extra_body={"search_mode": "keyword"}).data
        assert {hit.file_id for hit in found} == (set() if number % 2 == 0 else {file})
        if number % 2 == 0:
            with pytest.raises(openai.NotFoundError):
                client.files.retrieve(file)
            with pytest.raises(openai.NotFoundError):
                client.vector_stores.files.create(file_id=file, vector_store_id=store)


def test_a_dimension_that_is_not_the_models_is_refused(client, url, make, embedder):
    with pytest.raises(openai.BadRequestError) as refused:
        client.vector_stores.create(extra_body={"embedding_model": embedder, "embedding_dimension": 385})
    assert refused.value.param == "embedding_dimension"
    assert "385" in refused.value.message and "dimension 384" in refused.value.message
    store = make().id
    chunk = {
        "content": "The capital of Peru is Lima.",
        "chunk_id": "lima",
        "metadata": {},
        "chunk_metadata": {"document_id": "peru"},
        "embedding": [0.1] * 64,
        "embedding_model": embedder,
        "embedding_dimension": 64,
    }
    for change, param, says in [
        ({}, "chunks[0].embedding", "dimension 64, and the vector store has dimension 384"),
        ({"embedding_dimension": 384}, "chunks[0].embedding_dimension", "384, and the vector has 64 numbers"),
        ({"embedding_model": "another", "embedding": [0.1] * 384, "embedding_dimension": 384}, "chunks[0].embedding_model", f"`{embedder}`"),
    ]:
        refused = httpx.post(f"{url}/v1/vector-io/insert", json={"vector_store_id": store, "chunks": [chunk | change]})
        error = refused.json()["error"]
        assert (refused.status_code, error["param"]) == (400, param), error
        assert says in error["message"]
    assert client.vector_stores.search(store, query="Peru").data == []


@pytest.mark.parametrize("mode", ["vector", "keyword", "hybrid"])
def test_a_filter_that_fits_nothing_finds_nothing(client, make, mode):
    store = make().id
    file = ingested(client, store, "lima.txt", b"The capital of Peru is Lima.").id
    client.vector_stores.files.update(file, vector_store_id=store, attributes={"year": 1535, "name": "Lima"})

    def count(filters):
        return len(client.vector_stores.search(store, query="the capital of Peru", filters=filters, extra_body={"search_mode": mode}).data)

    assert count({"type": "eq", "key": "name", "value": "Lima"}) == 1
    # Attributes are each file's own: a key that none has is no mistake, and neither is a value of another type than some have.
    for key, value in [("nowhere", 1), ("nowhere", "Lima"), ("year", "1535"), ("name", 1), ("year", True)]:
        assert count({"type": "eq", "key": key, "value": value}) == 0
        assert count({"type": "ne", "key": key, "value": value}) == 1
    for kind in ("gt", "gte", "lt", "lte"):
        assert count({"type": kind, "key": "name", "value": 0}) == 0
        assert count({"type": kind, "key": "nowhere", "value": 0}) == 0


@pytest.mark.parametrize(
    ("filters", "says"),
    [
        ({"type": "gt", "key": "year", "value": "1535"}, ["the `value`", '"1535"', "compare with a number"]),
        ({"type": "eq", "key": "year", "value": {"is": 1535}}, ["the `value`", '{"is":1535}', "a string, a number or a boolean"]),
        ({"type": "eq", "key": "year", "value": None}, ["the `value`", "`null`", "a string, a number or a boolean"]),
        ({"type": "in", "key": "year", "value": 1535}, ["the `value`", "`1535`", "a list"]),
        ({"type": "eq", "key": 5, "value": 1535}, ["the `key`", "`5`", "the name of an attribute"]),
        ({"type": "or", "filters": [{"type": "lte", "key": "year", "value": True}]}, ["the `value`", "`true`", "compare with a number"]),
        ({"type": "eq", "value": 1535}, ["missing field `key`"]),
        ({"type": "near", "key": "year", "value": 1535}, ["`near`", "`eq`", "`nin`"]),
        ("year = 1535", ["`filters` is a string", "send an object"]),
    ],
)
def test_a_filter_that_is_none_is_refused(client, make, filters, says):
    store = make().id
    with pytest.raises(openai.BadRequestError) as refused:
        client.vector_stores.search(store, query="Peru", filters=filters)
    assert refused.value.param.startswith("filters")
    assert all(part in refused.value.message for part in says), refused.value.message


def test_what_looks_like_an_operator_is_text(client, make):
    store = make().id
    texts = {"lima.txt": "The capital of Peru is Lima.", "quito.txt": "The capital of Ecuador is Quito.", "rust.txt": "Rust has no garbage collector."}
    for name, text in texts.items():
        assert ingested(client, store, name, text.encode()).status == "completed"
    for query, names in [
        ("Peru NOT capital", {"lima.txt", "quito.txt"}),
        ("Peru AND garbage", {"lima.txt", "rust.txt"}),
        ('"capital Ecuador', {"lima.txt", "quito.txt"}),
        ("-Peru", {"lima.txt"}),
        ("^Rust", {"rust.txt"}),
        ("text:Rust", {"rust.txt"}),
        ("NEAR(Peru Quito, 2)", {"lima.txt", "quito.txt"}),
        ("Per*", set()),
        ("Peru'; DROP TABLE chunks; --", {"lima.txt"}),
        ("{Peru} : [Rust]", {"lima.txt", "rust.txt"}),
        ("Peru\0Rust", {"lima.txt", "rust.txt"}),
        ('"', set()),
        ("'", set()),
        ("()", set()),
        ("\\", set()),
    ]:
        found = client.vector_stores.search(store, query=query, extra_body={"search_mode": "keyword"}).data
        assert {hit.filename for hit in found} == names, query
        client.vector_stores.search(store, query=query, extra_body={"search_mode": "hybrid"})


def test_a_batch_of_too_many_files_is_refused(client, make):
    store = make().id
    ids = [f"file-{number:032x}" for number in range(10_000)]
    for ask in ({"file_ids": ids}, {"files": [{"file_id": file} for file in ids]}):
        with pytest.raises(openai.BadRequestError) as refused:
            client.vector_stores.file_batches.create(store, **ask)
        assert refused.value.param == next(iter(ask))
        assert refused.value.message.endswith("a batch has 1 to 2000 files, not 10000")
    with pytest.raises(openai.BadRequestError) as refused:
        make(file_ids=ids)
    assert refused.value.param == "file_ids" and "at most 500" in refused.value.message
    assert client.vector_stores.retrieve(store).file_counts.total == 0


def test_many_files_come_in_several_batches(client, make):
    """As many as are done in well under a minute, with one that fails in each batch."""
    store, batches, each = make().id, 4, 50
    with ThreadPoolExecutor(8) as threads:
        content = lambda number: b"" if number % each == 0 else f"The number of this file is n{number}x.".encode()
        files = list(threads.map(lambda number: upload(client, f"{number}.txt", content(number)), range(batches * each)))
    made = [client.vector_stores.file_batches.create(store, file_ids=files[first : first + each]) for first in range(0, len(files), each)]
    for batch in made:
        batch = settled(lambda: client.vector_stores.file_batches.retrieve(batch.id, vector_store_id=store))
        counts = batch.file_counts
        assert (batch.status, counts.completed, counts.failed, counts.total) == ("completed", each - 1, 1, each)
    counts = client.vector_stores.retrieve(store).file_counts
    assert (counts.completed, counts.failed, counts.in_progress, counts.total) == (batches * (each - 1), batches, 0, batches * each)
    assert {file.id for file in client.vector_stores.files.list(store, limit=100)} == set(files)
    for number in (1, 57, len(files) - 1):
        found = client.vector_stores.search(store, query=f"n{number}x", extra_body={"search_mode": "keyword"}).data
        assert [hit.file_id for hit in found] == [files[number]]
