"""Webhooks as a backend in Python receives them: the receiver of docs/webhooks.md as it stands there, which
verifies with the library of Standard Webhooks."""

import base64
import os
import pathlib
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

from conftest import DEADLINE_S, Server, token_for

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/webhooks.md"
SECRET = "whsec_" + base64.b64encode(b"stoa tests, 32 bytes of a secret").decode()


def answer(port):
    """The status with which it answers a stranger; none while it is not there."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}", b"{}")
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code
    except (urllib.error.URLError, OSError):
        return None


def test_the_receiver_of_the_page_verifies_what_it_is_told():
    source = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "PORT": str(port), "WEBHOOK_SECRET": SECRET}
    receiver = subprocess.Popen(
        [sys.executable, "-c", source], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        limit = time.monotonic() + DEADLINE_S
        while answer(port) != 400:
            assert receiver.poll() is None and time.monotonic() < limit
            time.sleep(0.02)
        url = f"http://127.0.0.1:{port}/stoa"
        with Server(WEBHOOK_URL=url, WEBHOOK_SECRET=SECRET, WEBHOOK_EVENTS="tick") as server:
            service = token_for("a-backend", role="service")
            for text in ["grüß dich", "x"]:
                emit = {"to": {"room": "lobby"}, "event": "tick", "data": {"text": text}}
                server.post("/api/emit", emit, service)
            lines = [receiver.stdout.readline().rstrip("\n") for _ in range(2)]
        assert lines == [
            'tick other/lobby 1 {"text": "gr\\u00fc\\u00df dich"}',
            'tick other/lobby 2 {"text": "x"}',
        ]
    finally:
        receiver.kill()
        receiver.wait()
