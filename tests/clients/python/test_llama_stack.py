"""The clients of Llama Stack, before and after its change of name."""

import llama_stack_client
import ogx_client
import pytest

HELLO = [{"role": "user", "content": "Hello!"}]


@pytest.fixture(scope="module", params=[llama_stack_client.LlamaStackClient, ogx_client.OgxClient], ids=["llama-stack", "ogx"])
def stack(request, url):
    with request.param(base_url=url, max_retries=0) as client:
        yield client


def test_inspect(stack):
    assert stack.inspect.health().status == "OK"
    assert stack.inspect.version().version


def test_models(stack):
    ids = [model.id for model in stack.models.list()]
    assert any(id.startswith("mistralrs/") for id in ids)


def test_providers(stack):
    listed = {provider.provider_id: provider for provider in stack.providers.list()}
    assert listed["mistralrs"].provider_type == "inline::mistralrs"
    one = stack.providers.retrieve("mistralrs")
    assert (one.api, one.health["status"]) == ("inference", "OK")


def test_routes(stack):
    routes = {route.route for route in stack.routes.list()}
    assert {"/v1/chat/completions", "/v1/models", "/v1/health"} <= routes


def test_chat(stack, chat_model):
    answer = stack.chat.completions.create(model=chat_model, messages=HELLO, max_tokens=8)
    assert answer.choices[0].message.content
    chunks = list(stack.chat.completions.create(model=chat_model, messages=HELLO, max_tokens=8, stream=True))
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
