import contextlib
import os
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from harness import Server  # noqa: E402


@pytest.fixture
def start(tmp_path):
    """Starts so many servers at the same time; those that are still there are ended with the test."""
    started = []

    def start(count, **environment):
        distribution = Path(os.environ["PUNA_DISTRIBUTION"])
        homes = [tmp_path / str(len(started) + number) for number in range(count)]
        with ThreadPoolExecutor() as threads:
            new = list(threads.map(lambda home: Server(distribution, home, environment), homes))
        started.extend(new)
        return new

    yield start
    for server in started:
        server.kill()


@pytest.fixture
def client_of():
    with contextlib.ExitStack() as stack:
        yield lambda server: stack.enter_context(openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=60))


class Line:
    """A way to the database that can be cut."""

    def __init__(self):
        self.target = (os.environ["POSTGRES_HOST"], int(os.environ["POSTGRES_PORT"]))
        self.sockets = []
        self.listener = None
        self.port = 0
        self.mend()

    def mend(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def cut(self):
        # A listener that another thread waits on is not closed before it wakes.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for one in self.sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self.sockets = []

    def accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(self.target)
                self.sockets += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=pump, args=(source, sink), daemon=True).start()


def pump(source, sink):
    with contextlib.suppress(OSError):
        while piece := source.recv(1 << 16):
            sink.sendall(piece)
    for one in (source, sink):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def line():
    line = Line()
    yield line
    with contextlib.suppress(OSError):
        line.cut()
