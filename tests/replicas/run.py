#!/usr/bin/env python3
"""Runs the tests of this folder; see README.md. Needs nothing but Python's standard library to start."""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import urllib.parse
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from harness import install_python, run, server  # noqa: E402


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--distribution", type=Path, required=True, help="the folder that build-distro wrote for `postgres`")
    arguments.add_argument("--s3-server", type=Path, required=True, help="the example s3_server of puna-tests, built")
    arguments.add_argument("--work", type=Path, required=True, help="a folder for the installed clients, kept between runs")
    arguments = arguments.parse_args()
    database = urllib.parse.urlsplit(os.environ["PUNA_TEST_POSTGRES"])
    clients = HERE.parent / "clients" / "python"
    python = install_python(clients / "requirements.txt", arguments.work.resolve() / "python")
    with object_store(arguments.s3_server.resolve()) as endpoint, tempfile.TemporaryDirectory(prefix="puna-replicas-") as home:
        environment = {
            "POSTGRES_HOST": database.hostname,
            "POSTGRES_PORT": str(database.port),
            "POSTGRES_DB": database.path.removeprefix("/"),
            "POSTGRES_USER": database.username,
            "S3_ENDPOINT_URL": endpoint,
            "S3_AUTO_CREATE_BUCKET": "true",
            "AWS_ACCESS_KEY_ID": "test-key-id",
            "AWS_SECRET_ACCESS_KEY": "test-secret-key",
            "PUNA_DISTRIBUTION": str(arguments.distribution.resolve()),
        }
        environment = os.environ | environment
        pytest = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        run([*pytest, HERE], env=environment)
        distribution = arguments.distribution.resolve()
        with server(distribution, f"{home}/1", environment) as one, server(distribution, f"{home}/2", environment) as other:
            environment |= {"PUNA_URL": one.url, "PUNA_REPLICAS": f"{one.url} {other.url}"}
            run([*pytest, clients / "test_files.py", clients / "test_vector_stores.py"], env=environment)


@contextlib.contextmanager
def object_store(program):
    process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        address = process.stdout.readline().strip()
        if not address:
            raise SystemExit("the object store did not start")
        yield address
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
