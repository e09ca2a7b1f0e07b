"""The write-only managers of python-socketio, as they come: what they publish in Redis clients hear."""

import asyncio
import contextlib
import json
import socket
import subprocess
import tempfile
import time
import urllib.request

import pytest
import socketio

from conftest import DEADLINE_S, Server, token_for
from test_client import connect, hear


@contextlib.contextmanager
def running_redis():
    """The URL of a Redis of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="stoa-redis-") as folder:
        words = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", folder]
        redis = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        try:
            limit = time.monotonic() + DEADLINE_S
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                assert time.monotonic() < limit, "Redis did not start"
                time.sleep(0.02)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            redis.kill()
            redis.wait()


@pytest.fixture(scope="module")
def bridged():
    """A server that hears emitters, and where they publish."""
    with running_redis() as url, Server(REDIS_URL=url, STOA_BRIDGE__ENABLED="on") as server:
        limit = time.monotonic() + DEADLINE_S
        while True:
            with urllib.request.urlopen(f"{server.url}/readyz", timeout=DEADLINE_S) as answer:
                if json.load(answer)["status"] == "ok":
                    break
            assert time.monotonic() < limit, server.log()
            time.sleep(0.02)
        yield server, url


def publish(kind, url, send):
    """Has a manager, of threads or of asyncio, publish: `send` gives its emits."""
    if kind == "threads":
        manager = socketio.RedisManager(url, write_only=True)
        for method, arguments, options in send:
            getattr(manager, method)(*arguments, **options)
        return

    async def all_of_them():
        manager = socketio.AsyncRedisManager(url, write_only=True)
        for method, arguments, options in send:
            await getattr(manager, method)(*arguments, **options)

    asyncio.run(all_of_them())


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
def test_what_a_manager_emits_is_heard_once(bridged, kind):
    server, url = bridged
    with connect(server, "ann", ["websocket"]) as ann, connect(server, "bob", ["polling"]) as bob:
        same = ("emit", ("tick", {"a": 1}), {})
        send = [same] * 10 + [
            ("emit", ("to ann", [1, 2]), {"room": "user-ann"}),
            ("emit", ("several", ("x", 1)), {"to": ["user-ann", "user-bob"]}),
            ("emit", ("bytes", b"12"), {}),
            ("emit", ("elsewhere", 1), {"namespace": "/chat"}),
            ("emit", ("but ann", "grüß dich"), {"skip_sid": ann.sid}),
            ("emit", ("nothing", None), {}),
            ("emit", ("end", 1), {}),
        ]
        publish(kind, url, send)
        heard = {"ann": [], "bob": []}
        for name, client in (("ann", ann), ("bob", bob)):
            while not heard[name] or heard[name][-1][0] != "end":
                event, *arguments = client.receive(timeout=DEADLINE_S)
                if not event.startswith("user"):
                    heard[name].append((event, arguments))
        ticks = [("tick", [{"a": 1}])] * 10
        several, end = ("several", ["x", 1]), ("end", [1])
        nothing = ("nothing", [])
        assert heard["ann"] == [*ticks, ("to ann", [[1, 2]]), several, nothing, end]
        assert heard["bob"] == [*ticks, several, ("but ann", ["grüß dich"]), nothing, end]


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
def test_a_manager_lets_a_socket_into_rooms_and_out(bridged, kind):
    server, url = bridged
    with connect(server, "cat", ["websocket"]) as cat:
        send = [
            ("enter_room", (cat.sid, "/", "vip"), {}),
            ("emit", ("for vips", 1), {"room": "vip"}),
            ("leave_room", (cat.sid, "/", "vip"), {}),
            ("emit", ("for nobody", 2), {"room": "vip"}),
            ("emit", ("end", 3), {"room": "user-cat"}),
        ]
        publish(kind, url, send)
        assert hear(cat, "for vips") == [1]
        event, *arguments = cat.receive(timeout=DEADLINE_S)
        assert (event, arguments) == ("end", [3])
