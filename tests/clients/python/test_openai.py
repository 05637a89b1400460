"""The `openai` package of PyPI."""

import math
import threading

import openai
import pytest

HELLO = [{"role": "user", "content": "Hello!"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def test_chat(client, chat_model):
    answer = client.chat.completions.create(model=chat_model, messages=HELLO, max_tokens=16, temperature=0)
    assert answer.object == "chat.completion"
    assert answer.model == chat_model
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason in ("stop", "length")
    assert answer.usage.completion_tokens <= 16
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_stream_joined_is_the_whole(client, chat_model):
    ask = {"model": chat_model, "messages": HELLO, "max_tokens": 16, "temperature": 0}
    whole = client.chat.completions.create(**ask)
    chunks = list(client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == whole.choices[0].message.content
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert reasons == [whole.choices[0].finish_reason]
    assert {chunk.model for chunk in chunks} == {chat_model}
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


def test_no_usage_unless_asked(client, chat_model):
    chunks = client.chat.completions.create(model=chat_model, messages=HELLO, max_tokens=4, stream=True)
    assert all(chunk.usage is None for chunk in chunks)


def test_tools_reach_the_model(client, chat_model):
    """The description of a tool is part of the prompt, and a call's result can be fed back."""
    ask = {"model": chat_model, "messages": HELLO, "max_tokens": 4, "temperature": 0}
    without = client.chat.completions.create(**ask)
    with_tools = client.chat.completions.create(**ask, tools=[WEATHER])
    assert with_tools.usage.prompt_tokens > without.usage.prompt_tokens
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Cusco"}'}}
    result = client.chat.completions.create(
        **ask | {"messages": [
            *HELLO,
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
        ]},
        tools=[WEATHER],
    )
    assert result.usage.prompt_tokens > with_tools.usage.prompt_tokens


def test_completion(client, chat_model):
    ask = {"model": chat_model, "prompt": "Once upon a time", "max_tokens": 8, "temperature": 0}
    whole = client.completions.create(**ask)
    assert whole.object == "text_completion"
    assert whole.model == chat_model
    joined = "".join(chunk.choices[0].text for chunk in client.completions.create(**ask, stream=True) if chunk.choices)
    assert joined == whole.choices[0].text


def test_embeddings(client, embedding_model):
    texts = ["the llama eats grass", "the llama eats grass", "compilers"]
    answer = client.embeddings.create(model=embedding_model, input=texts)
    vectors = [item.embedding for item in answer.data]
    assert [item.index for item in answer.data] == [0, 1, 2]
    assert answer.model == embedding_model
    # The client asks for base64 by default and decodes it itself; floats must say the same, but for what an engine's batches change.
    floats = client.embeddings.create(model=embedding_model, input=texts, encoding_format="float")
    for vector, same in zip(vectors, floats.data, strict=True):
        assert cosine(vector, same.embedding) > 0.999
    assert cosine(vectors[0], vectors[1]) > 0.999
    assert cosine(vectors[0], vectors[2]) < 0.999


def cosine(one, other):
    product = sum(a * b for a, b in zip(one, other, strict=True))
    return product / math.hypot(*one) / math.hypot(*other)


def test_models(client, chat_model):
    assert client.models.retrieve(chat_model).id == chat_model
    with pytest.raises(openai.NotFoundError) as error:
        client.models.retrieve("no/such/model")
    assert error.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("change", "error", "param"),
    [
        ({"model": "no-such-model"}, openai.NotFoundError, "model"),
        ({"messages": []}, openai.BadRequestError, "messages"),
        ({"messages": "hi"}, openai.BadRequestError, "messages"),
        ({"max_tokens": -1}, openai.BadRequestError, "max_tokens"),
        ({"max_tokens": 10**12}, openai.BadRequestError, "max_tokens"),
        ({"temperature": "warm"}, openai.BadRequestError, "temperature"),
        ({"temperature": 9}, openai.BadRequestError, "temperature"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_bad_requests_name_the_field(client, chat_model, change, error, param, stream):
    ask = {"model": chat_model, "messages": HELLO, "stream": stream} | change
    with pytest.raises(error) as raised:
        client.chat.completions.create(**ask)
    assert raised.value.param == param
    assert raised.value.response.headers["x-request-id"]


def test_leaving_a_stream_leaves_the_server_serving(client, chat_model):
    for _ in range(3):
        with client.chat.completions.create(model=chat_model, messages=HELLO, max_tokens=200, stream=True) as stream:
            next(iter(stream))
    assert client.chat.completions.create(model=chat_model, messages=HELLO, max_tokens=2).choices


def test_many_at_once(client, chat_model):
    texts = []

    def ask():
        answer = client.chat.completions.create(model=chat_model, messages=HELLO, max_tokens=8, temperature=0)
        texts.append(answer.choices[0].message.content)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(texts) == 8
