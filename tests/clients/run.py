#!/usr/bin/env python3
"""Runs the client tests of this folder; see README.md. Needs nothing but Python's standard library to start."""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from harness import find_binary, install_python, run, server  # noqa: E402

MODEL = "tiny"


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--distribution", type=Path, help="the folder that build-distro wrote")
    arguments.add_argument("--tiny-model", type=Path, required=True, help="the folder with model.gguf")
    arguments.add_argument("--work", type=Path, required=True, help="a folder for the installed clients, kept between runs")
    arguments.add_argument("command", nargs="*", help="run this beside the llama.cpp server instead, its address in the environment")
    arguments = arguments.parse_args()
    if not arguments.command and not arguments.distribution:
        raise SystemExit("--distribution is missing: the folder that build-distro wrote")

    python = install_python(HERE / "python" / "requirements.txt", arguments.work.resolve() / "python")
    gguf = arguments.tiny_model / "model.gguf"
    with upstream(python, gguf) as address:
        environment = {"LLAMA_CPP_SERVER_URL": f"{address}/v1"}
        if arguments.command:
            run(arguments.command, env=os.environ | environment)
            return
        # The provider of vLLM speaks to it as well, in the dialect that both have.
        environment["VLLM_URL"] = f"{address}/v1"
        node = install_node(arguments.work.resolve())
        distribution = arguments.distribution.resolve()
        with tempfile.TemporaryDirectory(prefix="puna-home-") as home, server(distribution, home, environment) as started:
            url = started.url
            wait_for_model(url, f"vllm/{MODEL}")
            wait_for_model(url, f"llama-cpp-server/{MODEL}")
            binary = find_binary(distribution)
            environment = os.environ | environment | {"PUNA_URL": url, "PUNA_BINARY": str(binary), "PUNA_EMBEDDING_MODEL": f"vllm/{MODEL}"}
            run([python, "-m", "pytest", "-q", "-p", "no:cacheprovider", HERE / "python"], env=environment)
            run(["node", "--test"], cwd=node, env=environment)


def install_node(work):
    folder = work / "node"
    folder.mkdir(parents=True, exist_ok=True)
    for source in (HERE / "node").iterdir():
        if source.is_file():
            shutil.copy(source, folder / source.name)
    stamp = folder / "installed.txt"
    wanted = (HERE / "node" / "package.json").read_text()
    if not (stamp.exists() and stamp.read_text() == wanted):
        run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=folder)
        stamp.write_text(wanted)
    return folder


@contextlib.contextmanager
def upstream(python, gguf):
    command = [python, HERE / "python" / "llama_cpp_server.py", gguf, "--alias", MODEL]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"the llama.cpp server did not start")
        yield json.loads(line)["address"]
    finally:
        process.kill()
        process.wait()


def wait_for_model(url, model):
    """A remote provider lists its models in the background."""
    for _ in range(100):
        with urllib.request.urlopen(f"{url}/v1/models") as answer:
            listed = [item["id"] for item in json.load(answer)["data"]]
        if model in listed:
            return
        time.sleep(0.1)
    raise SystemExit(f"{model} was not listed in time; listed: {listed}")


if __name__ == "__main__":
    main()
