"""Clients that upload, attach and delete, a server that is killed meanwhile, and what must be true afterwards."""

import contextlib
import hashlib
import random
import re
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import openai

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from harness import Server  # noqa: E402

EMBEDDING_MODEL = "sentence-transformers/puna/tiny-embed"
# Chunks that share nothing, so that each sentence is in one of them.
CHUNKING = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}}
CLIENTS = 4
# A server lives for so many answers, and then for up to so many seconds: some die while they start to work, others in the middle of it. Counted in answers, so
# that a slow machine does not kill servers before they have done anything.
MOST_ANSWERS, LONGEST = 80, 0.3
# How long an answer may take to come, in seconds.
SLOWEST = 60
# How long nothing may happen, in seconds: a dead server's jobs are taken up when their lease has run out, and what failed often is tried again after five minutes.
PATIENCE = 600


class Ledger:
    """What the server has acknowledged, and what it was asked for without an answer."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.number = 0
        self.files = {}  # id: (SHA-256, how many sentences, its word)
        self.deleted_files = set()
        self.stores = {}  # id: {file id}
        self.deleted_stores = set()
        self.unsure = set()  # ids whose deletion was not answered, and (store, file) that were being attached or taken out

    def document(self):
        with self.lock:
            self.number += 1
            word, length = f"word{self.number:06}", self.random.choice([1, 5, 40, 400])
        text = "\n\n".join(f"This is sentence {word}n{sentence} about {word}." for sentence in range(length))
        return word, length, text.encode()

    def pick(self, things):
        with self.lock:
            things = sorted(things)
            return self.random.choice(things) if things else None

    def may_be_gone(self, *ids):
        with self.lock:
            self.unsure.update(ids)

    def is_sure(self, *ids):
        return not self.unsure.intersection(ids)


def upload(client, ledger):
    word, length, content = ledger.document()
    file = client.files.create(file=(f"{word}.txt", content), purpose="assistants")
    with ledger.lock:
        ledger.files[file.id] = (hashlib.sha256(content).hexdigest(), length, word)


def upload_much(client, ledger):
    with ledger.lock:
        content = ledger.random.randbytes(3 << 20)
    file = client.files.create(file=("noise.bin", content), purpose="user_data")
    with ledger.lock:
        ledger.files[file.id] = (hashlib.sha256(content).hexdigest(), None, None)


def documents(ledger):
    with ledger.lock:
        return [file for file, (_, length, _) in ledger.files.items() if length]


def attached(ledger, store):
    with ledger.lock:
        return set(ledger.stores.get(store, ()))


def make_store(client, ledger):
    store = client.vector_stores.create(extra_body={"embedding_model": EMBEDDING_MODEL})
    with ledger.lock:
        ledger.stores[store.id] = set()


def attach(client, ledger):
    store, file = ledger.pick(ledger.stores), ledger.pick(documents(ledger))
    if store and file and file not in attached(ledger, store):
        ledger.may_be_gone((store, file))
        client.vector_stores.files.create(store, file_id=file, chunking_strategy=CHUNKING)
        note_attached(ledger, store, [file])


def attach_batch(client, ledger):
    store = ledger.pick(ledger.stores)
    files = {ledger.pick(documents(ledger)) for _ in range(3)} - attached(ledger, store) - {None}
    if store and files:
        ledger.may_be_gone(*((store, file) for file in files))
        client.vector_stores.file_batches.create(store, file_ids=sorted(files), chunking_strategy=CHUNKING)
        note_attached(ledger, store, files)


def note_attached(ledger, store, files):
    with ledger.lock:
        ledger.stores.get(store, set()).update(files)
        ledger.unsure.difference_update((store, file) for file in files)


def take_out(client, ledger):
    store = ledger.pick(ledger.stores)
    file = ledger.pick(attached(ledger, store))
    if file:
        ledger.may_be_gone((store, file))
        client.vector_stores.files.delete(file, vector_store_id=store)


def delete_file(client, ledger):
    file = ledger.pick(ledger.files)
    if file:
        ledger.may_be_gone(file)
        client.files.delete(file)
        with ledger.lock:
            ledger.files.pop(file, None)
            ledger.deleted_files.add(file)


def delete_store(client, ledger):
    store = ledger.pick(ledger.stores)
    if store:
        ledger.may_be_gone(store)
        client.vector_stores.delete(store)
        with ledger.lock:
            ledger.stores.pop(store, None)
            ledger.deleted_stores.add(store)


ACTS = [upload] * 6 + [upload_much] * 2 + [make_store] * 3 + [attach] * 8 + [attach_batch] * 4 + [take_out] * 2 + [delete_file] * 2 + [delete_store]


def connect(server, answered=lambda response: None):
    http = openai.DefaultHttpxClient(event_hooks={"response": [answered]})
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=SLOWEST, http_client=http)


def work(server, ledger, answers, over, problems):
    with connect(server, lambda response: answers.release()) as client:
        while not over.is_set():
            with ledger.lock:
                act = ledger.random.choice(ACTS)
            try:
                act(client, ledger)
            except openai.APIConnectionError:
                return
            except openai.NotFoundError:
                # Another client was faster to delete it.
                pass
            except Exception as error:
                if not over.is_set():
                    problems.append(f"{act.__name__}: {error!r}")
                return


def is_gone(ask):
    try:
        ask()
    except openai.NotFoundError:
        return True
    return False


def check_files(client, ledger):
    for file, (digest, _, _) in ledger.files.items():
        try:
            content = client.files.content(file).content
        except openai.NotFoundError:
            assert not ledger.is_sure(file), f"{file} was acknowledged and is gone"
            continue
        assert hashlib.sha256(content).hexdigest() == digest, f"{file} has other bytes"
    for file in ledger.deleted_files:
        assert is_gone(lambda: client.files.retrieve(file)), f"{file} was deleted and is there"


def check_stores(client, ledger):
    there = {store.id: store for store in client.vector_stores.list(limit=100)}
    for store in ledger.stores:
        assert store in there or not ledger.is_sure(store), f"{store} was acknowledged and is gone"
    for store in ledger.deleted_stores:
        assert store not in there, f"{store} was deleted and is there"
    return there


def wait_until_none(left, what):
    """Waits until nothing is left, as long as it gets less."""
    before, until = None, 0
    while now := left():
        if now != before:
            before, until = now, time.monotonic() + PATIENCE
        assert time.monotonic() < until, f"{what}: {now}"
        time.sleep(0.5)


def settle(client):
    def in_progress():
        stores = client.vector_stores.list(limit=100)
        return {store.id: store.file_counts.in_progress for store in stores if store.status == "in_progress"}

    wait_until_none(in_progress, "still in progress")


def check_contents(client, ledger, store_id):
    store = client.vector_stores.retrieve(store_id)
    files = {file.id: file for file in client.vector_stores.files.list(store_id, limit=100)}
    statuses = Counter(file.status for file in files.values())
    counts = store.file_counts
    assert (counts.total, counts.completed, counts.failed) == (len(files), statuses["completed"], statuses["failed"]), (store, statuses)
    for file in ledger.stores.get(store_id, ()):
        if file in ledger.files and ledger.is_sure(file, (store_id, file)):
            assert file in files, f"{file} was attached to {store_id} and is not there"
    for file, about in files.items():
        # Whoever attached it while another client deleted it is told so.
        assert file not in ledger.deleted_files or about.status == "failed", f"{file} was deleted and is in {store_id}: {about}"
        if about.status != "completed":
            # A file may have been deleted while it was read.
            assert not ledger.is_sure(file) or file not in ledger.files, about
            continue
        if file not in ledger.files:
            continue
        _, length, word = ledger.files[file]
        text = " ".join(part.text for part in client.vector_stores.files.content(file, vector_store_id=store_id).data)
        assert Counter(re.findall(rf"{word}n(\d+)", text)) == {str(sentence): 1 for sentence in range(length)}, f"{file} in {store_id}: {text[:500]}"
        found = client.vector_stores.search(store_id, query=word, max_num_results=50, extra_body={"search_mode": "keyword"}).data
        assert found and {hit.file_id for hit in found} == {file}, f"{word} of {file} in {store_id}: {found}"
        texts = [part.text for hit in found for part in hit.content]
        assert len(texts) == len(set(texts)), f"a chunk of {file} is twice in {store_id}"
    for file, (_, length, word) in ledger.files.items():
        if length and file not in files:
            found = client.vector_stores.search(store_id, query=word, extra_body={"search_mode": "keyword"}).data
            assert not found, f"{file} is not in {store_id} and is found there"


def databases(home):
    for path in (home / "distributions").rglob("*.db"):
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            yield database


def tables_with(database, column):
    """The tables whose definition has this column."""
    select = "SELECT name FROM sqlite_master WHERE type = 'table' AND instr(sql, ?)"
    return [name for (name,) in database.execute(select, [column])]


def check_bytes(home):
    """No bytes that nobody knows: each blob is a file's, or noted as one to take away."""
    kept = {path.name for path in (home / "files").rglob("*") if path.is_file() and ".incoming" not in path.parts}
    tables, noted, stored = [], set(), set()
    for database in databases(home):
        for table in tables_with(database, "blob TEXT PRIMARY KEY"):
            tables.append(table)
            rows = database.execute(f"SELECT blob, state FROM {table}").fetchall()
            noted |= {Path(blob).name for blob, _ in rows}
            stored |= {Path(blob).name for blob, state in rows if state == "stored"}
    assert tables, "the table of files was not found"
    assert kept <= noted, f"bytes that nobody knows: {kept - noted}"
    assert stored <= kept, f"files without bytes: {stored - kept}"


def main():
    distribution, rounds, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    print(f"seed {seed}", flush=True)
    ledger, problems = Ledger(seed), []
    with tempfile.TemporaryDirectory(prefix="puna-crash-") as home:
        home = Path(home)
        environment = {"FILES_STORAGE_DIR": str(home / "files"), "VECTOR_IO_DIR": str(home / "vectors")}
        for number in range(rounds):
            server = Server(distribution, home, environment)
            answers, over = threading.Semaphore(0), threading.Event()
            try:
                with connect(server) as client:
                    check_files(client, ledger)
                    check_stores(client, ledger)
                threads = [threading.Thread(target=work, args=(server, ledger, answers, over, problems)) for _ in range(CLIENTS)]
                for thread in threads:
                    thread.start()
                for _ in range(ledger.random.randrange(MOST_ANSWERS)):
                    assert answers.acquire(timeout=SLOWEST), problems or "no answer comes"
                time.sleep(ledger.random.uniform(0, LONGEST))
                over.set()
            finally:
                server.kill()
            for thread in threads:
                thread.join()
            assert not problems, problems
            print(f"round {number}: {len(ledger.files)} files, {len(ledger.stores)} stores, {sum(map(len, ledger.stores.values()))} attached", flush=True)

        server = Server(distribution, home, environment)
        try:
            with connect(server) as client:
                check_files(client, ledger)
                settle(client)
                stores = check_stores(client, ledger)
                for store in stores:
                    check_contents(client, ledger, store)
                check_bytes(home)
                for store in stores:
                    client.vector_stores.delete(store)
                for file in client.files.list():
                    client.files.delete(file.id)
                wait_until_gone(home)
                check_bytes(home)
            server.end()
        finally:
            server.kill()
    print(f"killed {rounds} times; nothing was lost")


def wait_until_gone(home):
    """The indexes of stores that are deleted are taken away by jobs. What a dead server began to make is known, and goes within half an hour."""

    def indexes():
        return {path.name.split(".")[0] for path in (home / "vectors").iterdir() if path.name != "lock"} - half_made(home)

    wait_until_none(indexes, "indexes of deleted stores")


def half_made(home):
    stores = set()
    for database in databases(home):
        for table in tables_with(database, "place TEXT"):
            stores |= {store for (store,) in database.execute(f"SELECT id FROM {table} WHERE state = 'making'")}
    return stores


if __name__ == "__main__":
    main()
