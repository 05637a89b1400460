"""The clients of Llama Stack, before and after its change of name."""

import llama_stack_client
import ogx_client
import pytest

HELLO = [{"role": "user", "content": "Hello!"}]


CLIENTS = {
    "llama-stack": lambda url: llama_stack_client.LlamaStackClient(base_url=url, max_retries=0),
    "ogx": lambda url: ogx_client.OgxClient(base_url=url),
}


@pytest.fixture(scope="module", params=CLIENTS)
def stack(request, url):
    return CLIENTS[request.param](url)


def test_inspect(stack):
    status = stack.inspect.health().status
    assert getattr(status, "value", status) == "OK"
    assert stack.inspect.version().version


def test_models(stack):
    listed = stack.models.list()
    # The newer client wraps the answer, because its server speaks three dialects at this path.
    listed = listed.actual_instance.data if hasattr(listed, "actual_instance") else listed
    assert any(model.id.startswith("mistralrs/") for model in listed)


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
