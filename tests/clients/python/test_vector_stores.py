"""Vector stores, by the clients that users have: five kinds of documents, found by meaning, by words and by both."""

import io
import time
import zipfile

import llama_stack_client
import openai
import pytest
from conftest import model_of

TERMINAL = {"completed", "failed", "cancelled"}


def pdf(*lines):
    """One page with these lines of text."""
    text = "BT /F1 12 Tf 50 750 Td 16 TL " + " ".join(f"({line}) Tj T*" for line in lines) + " ET"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        f"<< /Length {len(text)} >>\nstream\n{text}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{content}\nendobj\n".encode()
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{offset:010} 00000 n \n".encode() for offset in offsets)
    out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(out)


def docx(heading, *paragraphs):
    """A document of a word processor."""
    word = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    package = "http://schemas.openxmlformats.org/package/2006"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
    main = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    title = f'<w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr><w:r><w:t>{heading}</w:t></w:r></w:p>'
    body = title + "".join(f"<w:p><w:r><w:t>{paragraph}</w:t></w:r></w:p>" for paragraph in paragraphs)
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/><Override PartName="/word/document.xml" ContentType="{main}"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{office}" Target="word/document.xml"/></Relationships>',
        "word/document.xml": f'<w:document xmlns:w="{word}"><w:body>{body}</w:body></w:document>',
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{text}')
    return out.getvalue()


DOCUMENTS = {
    "potatoes.pdf": pdf("Potatoes grow in the high grassland,", "and people have eaten them for thousands of years."),
    "peru.docx": docx("Countries", "The capital of Peru is Lima."),
    "rust.html": b"<html><head><title>Languages</title><style>p {}</style></head><body><h1>Rust</h1>"
    b"<p>Rust is a programming language that has no garbage collector.</p></body></html>",
    "llamas.md": b"# Animals\n\n## Llamas\n\nLlamas are animals of the mountains. They *carry* what people give them to carry.\n",
    "rivers.csv": b"river,sea\nThe river Amazon,flows into the Atlantic\nThe river Rhine,flows into the North Sea\n",
}
QUESTIONS = {
    "who eats potatoes?": ("potatoes.pdf", "thousands of years"),
    "what is the capital of Peru?": ("peru.docx", "Lima"),
    "programming languages without a garbage collector": ("rust.html", "no garbage collector"),
    "which animals carry something for people?": ("llamas.md", "give them to carry"),
    "into which sea does the river Rhine flow?": ("rivers.csv", "North Sea"),
}


@pytest.fixture(autouse=True)
def nothing_stays(client):
    stores, files = {store.id for store in client.vector_stores.list()}, {file.id for file in client.files.list()}
    yield
    for store in client.vector_stores.list():
        if store.id not in stores:
            client.vector_stores.delete(store.id)
    for file in client.files.list():
        if file.id not in files:
            client.files.delete(file.id)


@pytest.fixture
def make(client):
    model = model_of(client, "sentence-transformers", "embedding")
    return lambda **store: client.vector_stores.create(**store, extra_body={"embedding_model": model})


def upload(client, name, content):
    return client.files.create(file=(name, content), purpose="assistants")


def settled(retrieve):
    """What is asked for, once it is not in progress any more."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        answer = retrieve()
        if answer.status in TERMINAL:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"still {answer.status}: {answer}")


@pytest.fixture
def library(client, make):
    """A store of the five documents, and their files by name."""
    files = {name: upload(client, name, content).id for name, content in DOCUMENTS.items()}
    store = make(name="library", file_ids=list(files.values()))
    store = settled(lambda: client.vector_stores.retrieve(store.id))
    listed = {file.id: (file.status, file.last_error) for file in client.vector_stores.files.list(store.id)}
    assert listed == {file: ("completed", None) for file in files.values()}
    assert (store.file_counts.completed, store.file_counts.total) == (5, 5) and store.usage_bytes > 0
    return store, files


@pytest.mark.parametrize("mode", ["vector", "keyword", "hybrid"])
def test_the_passage_that_answers_is_found(client, library, mode):
    store, files = library
    for question, (name, passage) in QUESTIONS.items():
        found = client.vector_stores.search(store.id, query=question, max_num_results=3, extra_body={"search_mode": mode}).data
        assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)
        assert all(0 <= hit.score <= 1 for hit in found)
        best = found[0]
        assert (best.filename, best.file_id) == (name, files[name]), (question, [hit.filename for hit in found])
        assert passage in " ".join(part.text for part in best.content)


@pytest.mark.parametrize("mode", ["vector", "keyword", "hybrid"])
def test_filters_hold_before_the_best_are_chosen(client, library, mode):
    store, files = library
    for year, name in enumerate(DOCUMENTS, 2001):
        changed = client.vector_stores.files.update(files[name], vector_store_id=store.id, attributes={"year": year, "name": name, "old": year < 2003})
        assert changed.attributes == {"year": year, "name": name, "old": year < 2003}
    question = "who eats potatoes, and what is the capital of Peru?"

    def names(filters):
        found = client.vector_stores.search(store.id, query=question, filters=filters, max_num_results=1, extra_body={"search_mode": mode})
        return [hit.filename for hit in found.data]

    assert names({"type": "eq", "key": "name", "value": "peru.docx"}) == ["peru.docx"]
    assert names({"type": "gte", "key": "year", "value": 2002}) == ["peru.docx"]
    assert names({"type": "lt", "key": "year", "value": 2002}) == ["potatoes.pdf"]
    either = {"type": "or", "filters": [{"type": "eq", "key": "year", "value": 2002}, {"type": "eq", "key": "name", "value": "none"}]}
    assert names({"type": "and", "filters": [either, {"type": "eq", "key": "old", "value": True}]}) == ["peru.docx"]
    assert names({"type": "in", "key": "name", "value": ["potatoes.pdf"]}) == ["potatoes.pdf"]
    assert names({"type": "eq", "key": "nowhere", "value": 1}) == []


def test_several_queries_and_a_threshold(client, library):
    store, _ = library
    found = client.vector_stores.search(store.id, query=list(QUESTIONS)[:2], max_num_results=5)
    assert {hit.filename for hit in found.data[:2]} == {"potatoes.pdf", "peru.docx"}
    scores = [hit.score for hit in found.data]
    above = client.vector_stores.search(store.id, query=list(QUESTIONS)[:2], ranking_options={"score_threshold": scores[1]})
    assert len(above.data) == 2


def test_what_is_in_a_file(client, library):
    store, files = library
    content = client.vector_stores.files.content(files["llamas.md"], vector_store_id=store.id)
    assert "give them to carry" in " ".join(part.text for part in content.data)
    content = client.vector_stores.files.content(
        files["llamas.md"], vector_store_id=store.id, extra_query={"include_embeddings": True, "include_metadata": True}
    )
    chunk = content.data[0].to_dict()
    assert len(chunk["embedding"]) == 384 and chunk["chunk_metadata"]["document_id"] == files["llamas.md"]


def test_a_batch(client, make):
    store = make(name="batch")
    files = [upload(client, f"{number}.md", f"# Number {number}\n\nThis is number {number}.".encode()).id for number in range(7)]
    batch = client.vector_stores.file_batches.create(store.id, file_ids=files, attributes={"kind": "number"})
    assert batch.object == "vector_store.files_batch" and batch.file_counts.total == 7
    batch = settled(lambda: client.vector_stores.file_batches.retrieve(batch.id, vector_store_id=store.id))
    assert (batch.status, batch.file_counts.completed) == ("completed", 7)
    listed = list(client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store.id, limit=3, order="asc"))
    assert [file.id for file in listed] == files
    assert all(file.attributes == {"kind": "number"} for file in listed)
    assert list(client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store.id, filter="failed")) == []
    each = [
        {"file_id": files[0], "attributes": {"kind": "first"}},
        {"file_id": files[1], "chunking_strategy": {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}}},
    ]
    batch = client.vector_stores.file_batches.create_and_poll(store.id, files=each)
    assert batch.file_counts.completed == 2
    file = client.vector_stores.files.retrieve(files[1], vector_store_id=store.id)
    assert file.chunking_strategy.static.max_chunk_size_tokens == 100
    assert client.vector_stores.files.retrieve(files[0], vector_store_id=store.id).attributes == {"kind": "first"}


def test_a_batch_that_is_cancelled(client, make):
    store = make()
    files = [upload(client, f"{number}.md", f"This is number {number}. ".encode() * 500).id for number in range(10)]
    batch = client.vector_stores.file_batches.create(store.id, file_ids=files)
    client.vector_stores.file_batches.cancel(batch.id, vector_store_id=store.id)
    batch = settled(lambda: client.vector_stores.file_batches.retrieve(batch.id, vector_store_id=store.id))
    counts = batch.file_counts
    assert counts.in_progress == 0 and counts.completed + counts.cancelled == counts.total == 10
    assert batch.status == ("cancelled" if counts.cancelled else "completed")


def test_a_file_that_cannot_be_read_tells_why(client, make):
    store = make()
    for name, content, code in [
        ("broken.pdf", DOCUMENTS["potatoes.pdf"][:200], "invalid_file"),
        ("empty.txt", b"", "invalid_file"),
        ("noise.bin", bytes(range(256)) * 100, "unsupported_file"),
    ]:
        file = client.vector_stores.files.create_and_poll(upload(client, name, content).id, vector_store_id=store.id)
        assert (file.status, file.last_error.code) == ("failed", code), file
        assert file.last_error.message
    counts = client.vector_stores.retrieve(store.id).file_counts
    assert (counts.failed, counts.total) == (3, 3)
    assert client.vector_stores.search(store.id, query="potatoes").data == []


def test_what_is_taken_out_is_not_found(client, library):
    store, files = library
    question = "who eats potatoes?"
    deleted = client.vector_stores.files.delete(files["potatoes.pdf"], vector_store_id=store.id)
    assert (deleted.deleted, deleted.object) == (True, "vector_store.file.deleted")
    client.files.delete(files["peru.docx"])
    names = {hit.filename for hit in client.vector_stores.search(store.id, query=question).data}
    assert names <= {"rust.html", "llamas.md", "rivers.csv"}
    assert client.vector_stores.retrieve(store.id).file_counts.total == 3
    assert client.vector_stores.delete(store.id).deleted
    for ask in (
        lambda: client.vector_stores.retrieve(store.id),
        lambda: client.vector_stores.search(store.id, query=question),
        lambda: client.vector_stores.files.list(store.id),
    ):
        with pytest.raises(openai.NotFoundError) as refused:
            ask()
        assert refused.value.param == "vector_store_id"


def test_stores_are_noted_and_listed(client, make):
    stores = [make(name=f"store {number}", metadata={"number": str(number)}).id for number in range(5)]
    page = client.vector_stores.list(limit=2, order="asc", after=stores[0])
    assert [store.id for store in page.data] == stores[1:3] and page.has_next_page()
    assert [store.id for store in client.vector_stores.list(limit=2)][:5] == stores[::-1]
    changed = client.vector_stores.update(stores[0], name="other", expires_after={"anchor": "last_active_at", "days": 1})
    assert (changed.name, changed.metadata, changed.expires_after.days) == ("other", {"number": "0"}, 1)
    assert changed.expires_at > time.time()


def test_what_is_wrong_is_named(client, make):
    store = make()
    stores = client.vector_stores
    for ask, param in [
        (lambda: stores.list(limit=0), "limit"),
        (lambda: stores.create(expires_after={"anchor": "last_active_at", "days": 0}), "expires_after.days"),
        (lambda: stores.search(store.id, query="a", max_num_results=51), "max_num_results"),
        (lambda: stores.search(store.id, query="a", filters={"type": "near", "key": "a", "value": 1}), "filters.type"),
        (lambda: stores.files.list(store.id, filter="done"), "filter"),
        (
            lambda: stores.files.create(
                store.id,
                file_id="file-x",
                chunking_strategy={"type": "static", "static": {"max_chunk_size_tokens": 99, "chunk_overlap_tokens": 0}},
            ),
            "chunking_strategy.static.max_chunk_size_tokens",
        ),
    ]:
        with pytest.raises(openai.BadRequestError) as refused:
            ask()
        assert refused.value.param == param
    with pytest.raises(openai.NotFoundError) as refused:
        stores.files.create(store.id, file_id="file-nowhere")
    assert refused.value.param == "file_id"


@pytest.mark.parametrize("query", ['"', "a AND (b OR", "potatoes*", "NEAR(", "--; DROP TABLE x", "'"])
def test_no_character_of_a_query_is_an_operator(client, library, query):
    store, _ = library
    for mode in ("keyword", "hybrid"):
        client.vector_stores.search(store.id, query=query, extra_body={"search_mode": mode})


def test_the_client_of_llama_stack(client, url, make):
    store = make(name="chunks").id
    with llama_stack_client.LlamaStackClient(base_url=url, max_retries=0) as stack:
        passages = {name: passage for passage, (name, _) in QUESTIONS.items()}
        vectors = client.embeddings.create(model=model_of(client, "sentence-transformers", "embedding"), input=list(passages.values()))
        chunks = [
            {
                "content": passage,
                "chunk_id": name,
                "metadata": {"name": name},
                "chunk_metadata": {"document_id": name},
                "embedding": item.embedding,
                "embedding_model": vectors.model,
                "embedding_dimension": len(item.embedding),
            }
            for (name, passage), item in zip(passages.items(), vectors.data, strict=True)
        ]
        stack.vector_io.insert(vector_store_id=store, chunks=chunks)
        found = stack.vector_io.query(vector_store_id=store, query="what is the capital of Peru?", params={"max_chunks": 2})
        assert (found.chunks[0].chunk_id, len(found.chunks), len(found.scores)) == ("peru.docx", 2, 2)
        assert found.chunks[0].metadata["name"] == "peru.docx"
