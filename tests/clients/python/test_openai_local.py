"""The `openai` package of PyPI, and what the engine in the server's own process does that other engines may not."""

import json
import math
from typing import Literal

import pytest
from pydantic import BaseModel

from conftest import model_of

HELLO = [{"role": "user", "content": "Hello!"}]


@pytest.fixture(scope="module")
def model(client):
    return model_of(client, "mistralrs", "llm")


class Herd(BaseModel):
    animal: Literal["llama", "alpaca", "vicuna"]
    size: Literal[1, 2, 3]
    is_tame: bool


@pytest.mark.parametrize("temperature", [0, 1])
def test_an_answer_is_parsed_into_a_pydantic_model(client, model, temperature):
    answer = client.chat.completions.parse(
        model=model, messages=HELLO, response_format=Herd, temperature=temperature, seed=7, max_tokens=200
    )
    assert isinstance(answer.choices[0].message.parsed, Herd)
    assert answer.choices[0].finish_reason == "stop"


def test_a_streamed_answer_is_parsed_too(client, model):
    ask = {"model": model, "messages": HELLO, "response_format": Herd, "seed": 7, "max_tokens": 200}
    with client.chat.completions.stream(**ask) as stream:
        for _ in stream:
            pass
        answer = stream.get_final_completion()
    assert isinstance(answer.choices[0].message.parsed, Herd)


def test_json_object(client, model):
    answer = client.chat.completions.create(
        model=model, messages=HELLO, response_format={"type": "json_object"}, seed=1, max_tokens=500
    )
    choice = answer.choices[0]
    # A model that means nothing may go on for long; what ended is JSON.
    if choice.finish_reason == "stop":
        assert isinstance(json.loads(choice.message.content), dict)


TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_height",
            "description": "Get the height of a place above the sea.",
            "parameters": {
                "type": "object",
                "properties": {"place": {"type": "string", "enum": ["Cusco", "Puno"]}},
                "required": ["place"],
                "additionalProperties": False,
            },
        },
    },
    {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}, "additionalProperties": False}}},
]


def test_a_call_of_a_tool_goes_there_and_back(client, model):
    messages = [{"role": "user", "content": "How high is Puno?"}]
    choice = {"type": "function", "function": {"name": "get_height"}}
    ask = {"model": model, "tools": TOOLS, "temperature": 0, "max_tokens": 200}
    answer = client.chat.completions.create(**ask, messages=messages, tool_choice=choice)
    message = answer.choices[0].message
    (call,) = message.tool_calls
    assert call.function.name == "get_height"
    assert json.loads(call.function.arguments)["place"] in ["Cusco", "Puno"]
    result = {"role": "tool", "tool_call_id": call.id, "content": "3827 m"}
    final = client.chat.completions.create(**ask, messages=[*messages, message, result], tool_choice="none")
    assert final.choices[0].message.content
    assert not final.choices[0].message.tool_calls


def test_a_streamed_call_joins_to_the_whole(client, model):
    ask = {"model": model, "messages": HELLO, "tools": TOOLS, "tool_choice": "required", "temperature": 0, "max_tokens": 200}
    (whole,) = client.chat.completions.create(**ask).choices[0].message.tool_calls
    with client.chat.completions.stream(**ask) as stream:
        for _ in stream:
            pass
        (joined,) = stream.get_final_completion().choices[0].message.tool_calls
    assert (joined.function.name, joined.function.arguments) == (whole.function.name, whole.function.arguments)


@pytest.mark.parametrize("temperature", [0, 1])
def test_log_probabilities(client, model, temperature):
    ask = {"model": model, "messages": HELLO, "max_tokens": 6, "temperature": temperature, "seed": 3}
    answer = client.chat.completions.create(**ask, logprobs=True, top_logprobs=5)
    tokens = answer.choices[0].logprobs.content
    assert len(tokens) == answer.usage.completion_tokens or answer.choices[0].finish_reason == "stop"
    for token in tokens:
        assert token.logprob <= 0
        assert len(token.top_logprobs) == 5
        likely = [top.logprob for top in token.top_logprobs]
        assert likely == sorted(likely, reverse=True)
        assert sum(math.exp(logprob) for logprob in likely) <= 1 + 1e-4
        if temperature == 0:
            assert token.logprob == pytest.approx(likely[0], abs=1e-4)
    text = b"".join(bytes(token.bytes) for token in tokens).decode(errors="replace")
    assert text.startswith(answer.choices[0].message.content)


def test_the_same_seed_says_the_same(client, model):
    # To a greeting there is one answer.
    messages = [{"role": "user", "content": "Tell me a story."}]
    ask = {"model": model, "messages": messages, "max_tokens": 24, "temperature": 1.5}
    says = lambda seed: client.chat.completions.create(**ask, seed=seed).choices[0].message.content
    assert says(11) == says(11)
    assert len({says(seed) for seed in range(6)}) > 1


def test_choices(client, model):
    answer = client.chat.completions.create(model=model, messages=HELLO, n=3, max_tokens=8, temperature=1, seed=5)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]


def test_a_stop_sequence_is_not_shown(client, model):
    ask = {"model": model, "messages": HELLO, "max_tokens": 24, "temperature": 0}
    text = client.chat.completions.create(**ask).choices[0].message.content
    stop = text[2:4]
    cut = client.chat.completions.create(**ask, stop=[stop]).choices[0]
    assert (cut.message.content, cut.finish_reason) == (text[: text.index(stop)], "stop")
