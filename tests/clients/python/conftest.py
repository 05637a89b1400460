import contextlib
import itertools
import os
import re
import subprocess

import httpx
import openai
import pytest


@pytest.fixture(scope="session")
def url():
    return os.environ["PUNA_URL"]


@pytest.fixture(scope="session")
def client(url):
    """Asks the server, or in turn all that share its state."""
    replicas = itertools.cycle(map(httpx.URL, os.environ.get("PUNA_REPLICAS", url).split()))

    def choose(request):
        replica = next(replicas)
        request.url = request.url.copy_with(host=replica.host, port=replica.port)
        request.headers["Host"] = request.url.netloc.decode()

    with (
        httpx.Client(timeout=120, event_hooks={"request": [choose]}) as http,
        openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, http_client=http) as client,
    ):
        yield client


@contextlib.contextmanager
def served(configuration, environment, *arguments):
    """The address of a server of its own, which must end well."""
    command = [os.environ["PUNA_BINARY"], "run", configuration, "--port", "0", *arguments]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said = ""
        for line in process.stdout:
            said += line
            if found := re.search(r"http://[\w.:\[\]-]+", line):
                break
        else:
            raise AssertionError(f"exit status {process.wait()}: {said}")
        yield found.group()
        process.terminate()
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()


def model_of(client, provider_id, model_type):
    """The first listed model of a provider and type."""
    for model in client.models.list():
        metadata = model.to_dict()["custom_metadata"]
        if (metadata["provider_id"], metadata["model_type"]) == (provider_id, model_type):
            return model.id
    raise AssertionError(f"no {model_type} of {provider_id} is listed: {[model.id for model in client.models.list()]}")


@pytest.fixture(scope="session", params=["mistralrs", "llama-cpp-server"])
def chat_model(request, client):
    """The model in the server's own process, and the same one behind a remote provider."""
    return model_of(client, request.param, "llm")


@pytest.fixture(scope="session")
def embedding_model(client):
    return os.environ["PUNA_EMBEDDING_MODEL"]
