"""Configurations that were written for the original: what this binary lacks is told in one report, and the rest can be served."""

import json
import os
import subprocess
import urllib.request
from pathlib import Path

import pytest
from conftest import served

FIXTURES = Path(__file__).parents[3] / "crates" / "config" / "tests" / "fixtures"


@pytest.fixture(params=["starter-0.3.5.yaml", "starter-0.8.yaml"])
def configuration(request, tmp_path):
    """A run configuration as the original has it, with a provider that exists nowhere in the place of one that does."""
    text = (FIXTURES / request.param).read_text()
    assert "provider_type: remote::openai" in text
    path = tmp_path / request.param
    path.write_text(text.replace("provider_type: remote::openai", "provider_type: remote::nowhere"))
    return path


@pytest.fixture
def environment(tmp_path):
    return os.environ | {"PUNA_HOME": str(tmp_path / "home"), "OPENAI_API_KEY": "sk-none"}


def test_what_is_missing_is_told_in_one_report(configuration, environment):
    command = [os.environ["PUNA_BINARY"], "validate", configuration]
    checked = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert checked.returncode != 0
    assert "`remote::nowhere` is not available in this binary" in checked.stderr
    assert "`--skip-missing` leaves out" in checked.stderr


def test_the_rest_is_served(configuration, environment):
    with served(configuration, environment, "--skip-missing") as url:
        with urllib.request.urlopen(f"{url}/v1/health") as answer:
            assert json.load(answer) == {"status": "OK"}
        with urllib.request.urlopen(f"{url}/v1/providers") as answer:
            types = {provider["provider_type"] for provider in json.load(answer)["data"]}
        assert "remote::vllm" in types and "remote::nowhere" not in types
