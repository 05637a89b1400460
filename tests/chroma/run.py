#!/usr/bin/env python3
"""Starts Chroma and runs a command with its address in CHROMA_URL; see README.md. Needs nothing but Python's standard library to start."""

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import install_package  # noqa: E402

# The package carries the server as one native module, which needs none of the packages that Chroma's Python client needs.
PACKAGE = "chromadb==1.5.9"
SERVE = "import sys, chromadb_rust_bindings; chromadb_rust_bindings.cli(['chroma', 'run', *sys.argv[1:]])"
# The versions of Python that it is made for and that are looked for, the newest first.
VERSIONS = ["3.13", "3.12", "3.11", "3.10"]
# How long the server may take to answer first, in seconds.
PATIENCE = 60


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--work", type=Path, required=True, help="a folder for the installed package, kept between runs")
    arguments.add_argument("command", nargs="+", help="what to run beside the server")
    arguments = arguments.parse_args()
    with server(install_package(PACKAGE, arguments.work.resolve() / "environment", VERSIONS)) as url:
        print("+", *arguments.command, flush=True)
        environment = os.environ | {"CHROMA_URL": url}
        raise SystemExit(subprocess.run(arguments.command, stdin=subprocess.DEVNULL, env=environment).returncode)


@contextlib.contextmanager
def server(python):
    with tempfile.TemporaryDirectory(prefix="puna-chroma-") as folder:
        folder = Path(folder)
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        log = open(folder / "log", "w")
        command = [python, "-c", SERVE, "--path", folder / "data", "--host", "127.0.0.1", "--port", str(port)]
        environment = os.environ | {"ANONYMIZED_TELEMETRY": "False"}
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, env=environment)
        try:
            until = time.monotonic() + PATIENCE
            while not is_ready(url):
                if process.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"Chroma did not start:\n{(folder / 'log').read_text()}")
                time.sleep(0.1)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def is_ready(url):
    try:
        with urllib.request.urlopen(f"{url}/api/v2/heartbeat", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


if __name__ == "__main__":
    main()
