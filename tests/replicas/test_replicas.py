"""Servers that share a database and a bucket: any of them answers, and each may die."""

import time

import openai
import pytest

TERMINAL = {"completed", "failed", "cancelled"}
EMBEDDING_MODEL = "sentence-transformers/puna/tiny-embed"


def settled(retrieve, seconds):
    """What is asked for, once it is not in progress any more."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        answer = retrieve()
        if answer.status in TERMINAL:
            return answer
        time.sleep(0.2)
    raise AssertionError(f"still {answer.status}: {answer}")


def upload(client, name, text):
    return client.files.create(file=(name, text.encode()), purpose="assistants").id


def make(client, **store):
    return client.vector_stores.create(**store, extra_body={"embedding_model": EMBEDDING_MODEL})


def remove(client, store_id):
    files = [file.id for file in client.vector_stores.files.list(store_id)]
    client.vector_stores.delete(store_id)
    for file in files:
        client.files.delete(file)


def test_what_one_keeps_the_other_has(start, client_of):
    one, other = map(client_of, start(2))
    file = upload(one, "lima.txt", "The capital of Peru is Lima.")
    assert other.files.content(file).text == "The capital of Peru is Lima."
    store = make(other, name="shared", file_ids=[file])
    assert one.vector_stores.retrieve(store.id).name == "shared"
    assert settled(lambda: one.vector_stores.retrieve(store.id), 60).file_counts.completed == 1
    for client in (one, other):
        found = client.vector_stores.search(store.id, query="what is the capital of Peru?")
        assert [hit.file_id for hit in found.data] == [file]
    assert one.vector_stores.delete(store.id).deleted
    assert other.files.delete(file).deleted
    for client in (one, other):
        with pytest.raises(openai.NotFoundError):
            client.vector_stores.search(store.id, query="Peru")
        with pytest.raises(openai.NotFoundError):
            client.files.retrieve(file)


def test_another_goes_on_with_what_a_dead_one_did(start, client_of):
    one, other = start(2)
    client, survivor = client_of(one), client_of(other)
    files = {upload(client, f"{number}.md", f"# Part {number}\n\n" + f"The number of this part is {number}.\n\n" * 40): number for number in range(12)}
    store = make(client, name="parts", file_ids=list(files))
    one.kill()
    # Its lease has to run out first.
    final = settled(lambda: survivor.vector_stores.retrieve(store.id), 120)
    assert (final.file_counts.completed, final.file_counts.total) == (12, 12), final
    for file, number in files.items():
        texts = [part.text for part in survivor.vector_stores.files.content(file, vector_store_id=store.id).data]
        assert texts and len(texts) == len(set(texts))
        found = survivor.vector_stores.search(store.id, query=f"part {number}", filters=None, extra_body={"search_mode": "keyword"}, max_num_results=50)
        assert file in {hit.file_id for hit in found.data}
    remove(survivor, store.id)


def test_a_server_that_is_shut_down_hands_its_work_over(start, client_of):
    one, other = start(2)
    client, survivor = client_of(one), client_of(other)
    files = [upload(client, f"{number}.md", f"The number of this part is {number}.\n\n" * 200) for number in range(8)]
    store = make(client, file_ids=files)
    one.end()
    final = settled(lambda: survivor.vector_stores.retrieve(store.id), 60)
    assert (final.file_counts.completed, final.file_counts.total) == (8, 8), final
    remove(survivor, store.id)


def test_a_database_that_goes_away_and_comes_back(start, client_of, line):
    (server,) = start(1, POSTGRES_HOST="127.0.0.1", POSTGRES_PORT=str(line.port))
    client = client_of(server)
    files = [upload(client, f"{number}.md", f"The number of this part is {number}.\n\n" * 100) for number in range(8)]
    store = make(client, file_ids=files)
    line.cut()
    begun = time.monotonic()
    for ask in (lambda: client.vector_stores.retrieve(store.id), lambda: client.files.list(), lambda: upload(client, "a.txt", "a")):
        with pytest.raises(openai.InternalServerError) as refused:
            ask()
        assert refused.value.status_code == 502 and "database" in refused.value.message, refused.value
    assert time.monotonic() - begun < 60
    # What needs no database goes on.
    assert client.models.list().data
    line.mend()
    final = settled(lambda: client.vector_stores.retrieve(store.id), 120)
    assert (final.file_counts.completed, final.file_counts.total) == (8, 8), final
    assert {file.id for file in client.files.list()} >= set(files)
    remove(client, store.id)
