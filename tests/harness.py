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

OLDEST = (3, 12)


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


def install_python(requirements, folder):
    """A Python with these packages, kept in the folder between runs."""
    stamp = folder / "installed.txt"
    python = folder / "bin" / "python"
    if not (stamp.exists() and stamp.read_text() == requirements.read_text()):
        run([find_python(), "-m", "venv", "--clear", folder])
        run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements])
        stamp.write_text(requirements.read_text())
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
