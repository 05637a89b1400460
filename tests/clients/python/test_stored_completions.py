"""Chat completions that the server keeps, by the clients that users have."""

import uuid

import llama_stack_client
import openai
import pytest

HELLO = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello!"}]


@pytest.fixture
def run():
    """Tells the completions of one test from all others."""
    return str(uuid.uuid4())


@pytest.fixture
def keep(client, chat_model, run):
    def keep(**more):
        usual = {"messages": HELLO, "store": True, "metadata": {"run": run}, "max_tokens": 8}
        return client.chat.completions.create(model=chat_model, **usual | more)

    yield keep
    for stored in client.chat.completions.list(metadata={"run": run}):
        client.chat.completions.delete(stored.id)


def test_a_completion_is_kept_changed_and_deleted(client, keep, run):
    answer = keep(temperature=0.5)
    stored = client.chat.completions.retrieve(answer.id)
    assert (stored.id, stored.model, stored.choices, stored.usage) == (answer.id, answer.model, answer.choices, answer.usage)
    assert stored.metadata == {"run": run} and stored.input_messages == HELLO and stored.temperature == 0.5

    changed = client.chat.completions.update(answer.id, metadata={"run": run, "seen": "yes"})
    assert changed.metadata == {"run": run, "seen": "yes"}
    assert [listed.id for listed in client.chat.completions.list(metadata={"run": run, "seen": "yes"})] == [answer.id]

    deleted = client.chat.completions.delete(answer.id)
    assert (deleted.id, deleted.object, deleted.deleted) == (answer.id, "chat.completion.deleted", True)
    for ask in (client.chat.completions.retrieve, client.chat.completions.delete, client.chat.completions.messages.list):
        with pytest.raises(openai.NotFoundError) as refused:
            ask(answer.id)
        assert refused.value.param == "completion_id"


def test_a_list_is_walked_page_by_page(client, keep, chat_model, run):
    ids = [keep().id for _ in range(3)]
    page = client.chat.completions.list(limit=2, metadata={"run": run})
    assert len(page.data) == 2 and page.has_next_page()
    assert [stored.id for stored in page] == ids
    mine = {"metadata": {"run": run}, "order": "desc"}
    assert [stored.id for stored in client.chat.completions.list(model=chat_model, **mine)] == ids[::-1]
    assert list(client.chat.completions.list(model="another", **mine)) == []


def test_messages(client, keep):
    parts = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo!"}]
    answer = keep(messages=HELLO + [{"role": "assistant", "content": "Hi."}, {"role": "user", "content": parts}])
    messages = list(client.chat.completions.messages.list(answer.id, limit=3))
    assert [message.id for message in messages] == [f"{answer.id}-{place}" for place in range(4)]
    assert [message.role for message in messages] == ["system", "user", "assistant", "user"]
    assert messages[1].content == "Hello!" and messages[1].content_parts is None
    assert [part.text for part in messages[3].content_parts] == ["Hel", "lo!"]
    last = client.chat.completions.messages.list(answer.id, order="desc", limit=1)
    assert last.data[0].id == messages[3].id and last.has_more


def test_a_stream_is_kept_as_its_answer(client, keep):
    chunks = list(keep(stream=True, stream_options={"include_usage": True}))
    (id,) = {chunk.id for chunk in chunks}
    stored = client.chat.completions.retrieve(id)
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert stored.object == "chat.completion" and stored.choices[0].message.content == text
    assert stored.usage == chunks[-1].usage


def test_what_is_not_to_be_kept_is_not(client, keep, chat_model, run):
    keep(store=False)
    assert list(client.chat.completions.list(metadata={"run": run})) == []
    # The configuration of this distribution keeps what says nothing of it.
    answer = keep(store=openai.NOT_GIVEN)
    assert client.chat.completions.retrieve(answer.id).id == answer.id


def test_what_is_wrong_is_named(client, keep):
    id = keep().id
    for ask, param in [
        (lambda: client.chat.completions.list(limit=0), "limit"),
        (lambda: client.chat.completions.list(after="x"), "after"),
        (lambda: client.chat.completions.list(order="up"), "order"),
        (lambda: client.chat.completions.update(id, metadata={"x" * 65: "y"}), "metadata"),
        (lambda: client.chat.completions.messages.list(id, after=f"{id}-9"), "after"),
        (lambda: keep(metadata={str(key): "x" for key in range(17)}), "metadata"),
    ]:
        with pytest.raises(openai.BadRequestError) as refused:
            ask()
        assert refused.value.param == param


def test_the_client_of_llama_stack(url, keep):
    answer = keep()
    with llama_stack_client.LlamaStackClient(base_url=url, max_retries=0) as stack:
        stored = stack.chat.completions.retrieve(answer.id)
        assert (stored.id, stored.choices[0].message.content) == (answer.id, answer.choices[0].message.content)
        assert [message.role for message in stored.input_messages] == ["system", "user"]
        assert answer.id in [listed.id for listed in stack.chat.completions.list(order="desc", limit=100).data]
        with pytest.raises(llama_stack_client.NotFoundError):
            stack.chat.completions.retrieve("chatcmpl-0")
