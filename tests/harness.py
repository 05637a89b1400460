"""What the scripts of this folder share: Python environments, and servers. Needs nothing but Python's standard library."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

# What the newest client libraries run on.
CLIENT_VERSIONS = ["3.12", "3.13", "3.14"]


def run(command, **options):
    print("+", *command, flush=True)
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, **options)


def find_python(versions):
    """A Python of one of these versions, sooner the one that is named sooner; from the path, or of pyenv."""
    pyenv = Path.home() / ".pyenv" / "versions"
    for version in versions:
        for candidate in [f"python{version}", *sorted(map(str, pyenv.glob(f"{version}.*/bin/python3")))]:
            path = shutil.which(candidate)
            if path and subprocess.run([path, "-c", ""], stderr=subprocess.DEVNULL).returncode == 0:
                return path
    raise SystemExit(f"no Python of {', '.join(versions)} found")


def install_python(requirements, folder):
    """A Python with these packages, kept in the folder between runs."""
    return make_environment(folder, CLIENT_VERSIONS, requirements.read_text(), ["-r", requirements])


def install_package(package, folder, versions):
    """A Python with this package, and with none of those that it asks for; kept in the folder between runs."""
    return make_environment(folder, versions, package, ["--no-deps", package])


def make_environment(folder, versions, holds, install):
    stamp = folder / "installed.txt"
    python = folder / "bin" / "python"
    if not (stamp.exists() and stamp.read_text() == holds):
        run([find_python(versions), "-m", "venv", "--clear", folder])
        run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *install])
        stamp.write_text(holds)
    return python


class Server:
    """A distribution that runs, on a free port."""

    def __init__(self, distribution, home, environment=None, arguments=(), within=()):
        """`within` is a command that becomes the server, such as one that changes what it sees first."""
        command = [*within, find_binary(distribution), "run", distribution / "config.yaml", "--port", "0", *arguments]
        environment = os.environ | (environment or {}) | {"PUNA_HOME": str(home)}
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=environment)
        for line in self.process.stdout:
            print(line, end="", flush=True)
            if found := re.search(r"http://[\w.:\[\]-]+", line):
                self.url = found.group()
                break
        else:
            raise SystemExit(f"the server did not start: exit status {self.process.wait()}")
        threading.Thread(target=shutil.copyfileobj, args=(self.process.stdout, sys.stdout), daemon=True).start()

    def end(self):
        """Ends it as an operator would; it must then end well."""
        self.process.send_signal(signal.SIGTERM)
        if (status := self.process.wait(timeout=60)) != 0:
            raise SystemExit(f"the server ended with status {status}")

    def kill(self):
        """Ends it as a loss of power would."""
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def server(distribution, home, environment=None, arguments=()):
    """A server, ended with the block."""
    started = Server(distribution, home, environment, arguments)
    try:
        yield started
        started.end()
    finally:
        started.kill()


def find_binary(distribution):
    return next(path for path in distribution.iterdir() if path.is_file() and os.access(path, os.X_OK))
