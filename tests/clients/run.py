#!/usr/bin/env python3
"""Runs the client tests of this folder; see README.md. Needs nothing but Python's standard library to start."""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
OLDEST = (3, 12)
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

    python = install_python(arguments.work.resolve())
    gguf = arguments.tiny_model / "model.gguf"
    with upstream(python, gguf) as address:
        environment = {"LLAMA_CPP_SERVER_URL": f"{address}/v1"}
        if arguments.command:
            run(arguments.command, env=os.environ | environment)
            return
        # The provider of vLLM speaks to it as well, in the dialect that both have.
        environment["VLLM_URL"] = f"{address}/v1"
        node = install_node(arguments.work.resolve())
        with server(arguments.distribution.resolve(), environment) as url:
            wait_for_model(url, f"vllm/{MODEL}")
            wait_for_model(url, f"llama-cpp-server/{MODEL}")
            binary = find_binary(arguments.distribution.resolve())
            environment = os.environ | environment | {"PUNA_URL": url, "PUNA_BINARY": str(binary), "EMBEDDING_MODEL": f"vllm/{MODEL}"}
            run([python, "-m", "pytest", "-q", "-p", "no:cacheprovider", HERE / "python"], env=environment)
            run(["node", "--test"], cwd=node, env=environment)


def run(command, **options):
    print("+", *command, flush=True)
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, **options)


def find_python():
    """A Python that the newest clients run on."""
    versions = Path.home() / ".pyenv" / "versions"
    candidates = [sys.executable, "python3.13", "python3.12", *sorted(map(str, versions.glob("3.1[2-9]*/bin/python3")))]
    for candidate in candidates:
        path = shutil.which(candidate)
        if path is None:
            continue
        asked = subprocess.run([path, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True)
        if asked.returncode == 0 and tuple(map(int, asked.stdout.split())) >= OLDEST:
            return path
    raise SystemExit(f"no Python {OLDEST[0]}.{OLDEST[1]} or newer found; the client libraries need one")


def install_python(work):
    requirements = HERE / "python" / "requirements.txt"
    folder = work / "python"
    stamp = folder / "installed.txt"
    python = folder / "bin" / "python"
    if not (stamp.exists() and stamp.read_text() == requirements.read_text()):
        run([find_python(), "-m", "venv", "--clear", folder])
        run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements])
        stamp.write_text(requirements.read_text())
    return python


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


@contextlib.contextmanager
def server(distribution, environment):
    """Starts the distribution on a free port, and ends it as an operator would; it must then end well."""
    command = [find_binary(distribution), "run", distribution / "config.yaml", "--port", "0"]
    home = distribution / "home"
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=os.environ | environment | {"PUNA_HOME": str(home)}
    )
    try:
        for line in process.stdout:
            print(line, end="", flush=True)
            if found := re.search(r"http://[\w.:\[\]-]+", line):
                break
        else:
            raise SystemExit(f"the server did not start: exit status {process.wait()}")
        threading.Thread(target=shutil.copyfileobj, args=(process.stdout, sys.stdout), daemon=True).start()
        yield found.group()
        process.send_signal(signal.SIGTERM)
        if (status := process.wait(timeout=60)) != 0:
            raise SystemExit(f"the server ended with status {status}")
    finally:
        process.kill()
        process.wait()


def find_binary(distribution):
    return next(path for path in distribution.iterdir() if path.is_file() and os.access(path, os.X_OK))


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
