"""Files, by the clients that users have."""

import hashlib
import io
import time

import llama_stack_client
import openai
import pytest

LINES = b'{"custom_id":"1"}\n' * 1000


@pytest.fixture(autouse=True)
def nothing_stays(client):
    before = {file.id for file in client.files.list()}
    yield
    for file in client.files.list():
        if file.id not in before:
            client.files.delete(file.id)


def test_a_file_goes_and_comes_back(client):
    content = bytes(range(256)) * 40_000
    file = client.files.create(file=("Ärger ../notes.bin", content), purpose="user_data")
    assert (file.object, file.bytes, file.filename, file.purpose, file.status) == ("file", len(content), "Ärger ../notes.bin", "user_data", "processed")
    assert abs(file.created_at - time.time()) < 60 and file.expires_at is None
    assert client.files.retrieve(file.id) == file
    assert hashlib.sha256(client.files.content(file.id).read()).digest() == hashlib.sha256(content).digest()
    ranged = client.files.content(file.id, extra_headers={"Range": "bytes=254-257"})
    assert (ranged.response.status_code, ranged.read()) == (206, bytes([254, 255, 0, 1]))
    deleted = client.files.delete(file.id)
    assert (deleted.id, deleted.deleted) == (file.id, True)
    for ask in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError) as refused:
            ask(file.id)
        assert refused.value.param == "file_id"


@pytest.mark.parametrize("purpose", ["assistants", "batch", "fine-tune", "vision", "user_data", "evals"])
def test_every_purpose(client, purpose):
    file = client.files.create(file=("a.jsonl", LINES), purpose=purpose)
    assert file.purpose == purpose
    assert file.id in [listed.id for listed in client.files.list(purpose=purpose)]
    assert (file.expires_at is not None) == (purpose == "batch")


def test_a_time_to_go(client):
    file = client.files.create(file=("a", b"x"), purpose="user_data", expires_after={"anchor": "created_at", "seconds": 3600})
    assert file.expires_at == file.created_at + 3600
    with pytest.raises(openai.BadRequestError) as refused:
        client.files.create(file=("a", b"x"), purpose="user_data", expires_after={"anchor": "created_at", "seconds": 60})
    assert refused.value.param == "expires_after.seconds"


def test_a_list_is_walked_page_by_page(client):
    ids = [client.files.create(file=(f"{number}", b"x"), purpose="vision").id for number in range(5)]
    page = client.files.list(limit=2, order="asc", purpose="vision")
    assert len(page.data) == 2 and page.has_next_page()
    assert [file.id for file in page] == ids
    assert [file.id for file in client.files.list(limit=2, purpose="vision")] == ids[::-1]


def test_a_large_file_streams(client):
    class Endless(io.RawIOBase):
        """64 MiB that are nowhere as a whole."""

        name = "large.bin"
        left = 64 << 20

        def readable(self):
            return True

        def read(self, size=-1):
            size = min(self.left, 1 << 20 if size < 0 else size)
            self.left -= size
            return b"x" * size

    file = client.files.create(file=("large.bin", Endless()), purpose="user_data")
    assert file.bytes == 64 << 20
    with client.files.with_streaming_response.content(file.id) as content:
        assert sum(len(piece) for piece in content.iter_bytes()) == 64 << 20


def test_what_is_wrong_is_named(client):
    for ask, param in [
        (lambda: client.files.create(file=("a", b"x"), purpose="fun"), "purpose"),
        (lambda: client.files.create(file=("a", b"x"), purpose="batch_output"), "purpose"),
        (lambda: client.files.list(limit=0), "limit"),
        (lambda: client.files.list(after="../a"), "after"),
    ]:
        with pytest.raises(openai.BadRequestError) as refused:
            ask()
        assert refused.value.param == param


def test_the_client_of_llama_stack(url):
    with llama_stack_client.LlamaStackClient(base_url=url, max_retries=0) as stack:
        file = stack.files.create(file=("a.txt", b"hello"), purpose="assistants")
        assert (file.bytes, file.filename, file.purpose) == (5, "a.txt", "assistants")
        assert stack.files.retrieve(file.id).id == file.id
        assert file.id in [listed.id for listed in stack.files.list(purpose="assistants")]
        assert stack.files.delete(file.id).deleted
        with pytest.raises(llama_stack_client.NotFoundError):
            stack.files.retrieve(file.id)
