"""Models of the local engine that are registered while the server runs."""

import json
import os

import httpx
import openai
import pytest
from conftest import served

DEMO = "local/puna/tiny"


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def configuration(home, tmp_path, request):
    """Demo models alone, of a provider of the type that a test names; what the server keeps may be registered."""
    provider = {
        "provider_id": "local",
        "provider_type": request.param,
        "config": {"registrable": {"folders": [str(home)]}},
    }
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps({"version": 2, "image_name": "local", "providers": {"inference": [provider]}}))
    return path


def ask(url, model):
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        messages = [{"role": "user", "content": "Hello!"}]
        answer = client.chat.completions.create(model=model, messages=messages, temperature=0)
        return answer.choices[0].message.content


def loaded(url, model):
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    [line] = [line for line in lines if line.startswith("puna_engine_model_loaded{") and f'"{model}"' in line]
    return line.split()[-1] == "1"


@pytest.mark.parametrize("configuration", ["inline::mistralrs"], indirect=True)
def test_a_model_comes_and_goes_while_the_server_runs(configuration, home):
    environment = os.environ | {"PUNA_HOME": str(home)}
    with served(configuration, environment) as url:
        # The demo model's files are a model like any other.
        [folder] = [str(file.parent) for file in home.rglob("config.json")]
        registration = {"model_id": "mine", "provider_id": "local", "provider_model_id": folder}
        answer = httpx.post(f"{url}/v1/models", json=registration)
        assert answer.status_code == 200, answer.text
        assert answer.json()["custom_metadata"]["context_length"] == 4096
        said = ask(url, "mine")
        assert said and said == ask(url, DEMO)
        assert loaded(url, folder)
        for wrong in ["/etc", f"{folder}/nothing", "hf:nobody/nothing", "nothing"]:
            answer = httpx.post(f"{url}/v1/models", json=registration | {"model_id": "wrong", "provider_model_id": wrong})
            assert answer.status_code == 400, answer.text
            assert answer.json()["error"]["param"] == "provider_model_id"
    with served(configuration, environment) as url:
        # The registration outlives the server that it was made with.
        assert ask(url, "mine") == said
        assert loaded(url, folder)
        assert httpx.delete(f"{url}/v1/models/mine").status_code == 200
        assert not loaded(url, folder)
        with pytest.raises(openai.NotFoundError):
            ask(url, "mine")
        assert ask(url, DEMO) == said


def embed(url, model):
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        return client.embeddings.create(model=model, input="The puna is high.").data[0].embedding


@pytest.mark.parametrize("configuration", ["inline::sentence-transformers"], indirect=True)
def test_an_embedding_model_comes_and_goes_while_the_server_runs(configuration, home):
    environment = os.environ | {"PUNA_HOME": str(home)}
    demo = "local/puna/tiny-embed"
    with served(configuration, environment) as url:
        [folder] = [str(file.parent) for file in home.rglob("config.json") if file.parent.name == "puna-tiny-embed"]
        registration = {"model_id": "mine", "provider_id": "local", "provider_model_id": folder}
        answer = httpx.post(f"{url}/v1/models", json=registration)
        assert answer.status_code == 200, answer.text
        vector = embed(url, "mine")
        assert vector == embed(url, demo)
        assert answer.json()["custom_metadata"]["embedding_dimension"] == len(vector)
        for wrong in ["/etc", f"{folder}/nothing", "hf:nobody/nothing", "nothing"]:
            answer = httpx.post(f"{url}/v1/models", json=registration | {"model_id": "wrong", "provider_model_id": wrong})
            assert answer.status_code == 400, answer.text
            assert answer.json()["error"]["param"] == "provider_model_id"
    with served(configuration, environment) as url:
        assert embed(url, "mine") == vector
        assert httpx.delete(f"{url}/v1/models/mine").status_code == 200
        with pytest.raises(openai.NotFoundError):
            embed(url, "mine")
        assert embed(url, demo) == vector
