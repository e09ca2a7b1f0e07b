"""Starts the real server on a free port with its own data, and makes tokens as a backend does."""

import json
import os
import pathlib
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import jwt
import pytest

SECRET = "a-secret-of-the-tests-with-at-least-32-bytes"
DEADLINE_S = 20
BINARY = os.environ.get("STOA_BIN") or str(
    pathlib.Path(__file__).resolve().parents[2] / "target/debug/stoa"
)


def token_for(user_id, **claims):
    """A token of this user that lives for an hour."""
    claims = {"userId": user_id, "exp": int(time.time()) + 3600, **claims}
    return jwt.encode(claims, SECRET, "HS256")


class Server:
    """A server that runs as long as `with` does."""

    def __init__(self, **environment):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = environment

    def __enter__(self):
        self._data = tempfile.TemporaryDirectory(prefix="stoa-")
        self._log = open(f"{self._data.name}/log", "w+", encoding="utf-8")
        self._start()
        return self

    def __exit__(self, *_):
        self._kill()
        self._log.close()
        self._data.cleanup()

    def restart(self):
        """Kills it, and starts it at the same port."""
        self._kill()
        self._start()

    def _kill(self):
        self._process.kill()
        self._process.wait()

    def _start(self):
        self._process = subprocess.Popen(
            [BINARY, "serve"],
            # Where it runs, so that no `.env` of a developer reaches it.
            cwd=self._data.name,
            env={
                "PATH": os.environ["PATH"],
                "HOST": "127.0.0.1",
                "PORT": str(self.port),
                "JWT_SECRET": SECRET,
                "STOA_DATA": self._data.name,
                "LOG_LEVEL": "warn",
                **self._environment,
            },
            stdout=self._log,
            stderr=self._log,
        )
        limit = time.monotonic() + DEADLINE_S
        while not self._is_ready():
            assert self._process.poll() is None, f"it ended: {self.log()}"
            assert time.monotonic() < limit, f"it is not ready: {self.log()}"
            time.sleep(0.02)

    def log(self):
        """What it has said."""
        self._log.flush()
        return pathlib.Path(self._log.name).read_text(encoding="utf-8")

    def post(self, path, body, token):
        """Posts JSON and gives the answer's."""
        request = urllib.request.Request(
            self.url + path,
            json.dumps(body).encode(),
            {"content-type": "application/json", "authorization": f"Bearer {token}"},
        )
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
            return json.load(answer)

    def _is_ready(self):
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=1) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False


@pytest.fixture(scope="module")
def server():
    """One for the tests of a file."""
    with Server() as started:
        yield started
