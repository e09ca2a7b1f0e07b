"""python-socketio, as it comes, on each of its transports."""

import contextlib
import threading

import pytest
import socketio

from conftest import DEADLINE_S, token_for

WAYS = [["websocket"], ["polling"], ["polling", "websocket"]]


@pytest.fixture(params=WAYS, ids="-".join)
def transports(request):
    return request.param


def connect(server, user, transports, **more):
    """A client of this user, who can be asked for what it hears."""
    client = socketio.SimpleClient()
    client.connect(
        server.url,
        auth={"token": token_for(user)},
        transports=transports,
        wait_timeout=DEADLINE_S,
        **more,
    )
    return client


@contextlib.contextmanager
def disconnecting(client):
    try:
        yield
    finally:
        client.disconnect()


def hear(client, name):
    """The arguments of the next event of that name."""
    while True:
        event, *arguments = client.receive(timeout=DEADLINE_S)
        if event == name:
            return arguments


def emit(server, to, event, data):
    service = token_for("a-backend", role="service")
    return server.post("/api/emit", {"to": to, "event": event, "data": data}, service)


def test_it_hears_what_a_backend_emits(server, transports):
    with connect(server, "ann", transports) as client:
        emit(server, {"users": ["ann"]}, "greeting", {"text": "grüß dich"})
        assert hear(client, "greeting") == [{"text": "grüß dich"}]


def test_its_events_are_acknowledged_and_done_in_order(server, transports):
    with connect(server, "ben", transports) as client:
        answers = [
            client.call("conversation:join", f"python-{n}", timeout=DEADLINE_S) for n in range(20)
        ]
        # Nobody has begun them: each is refused in its turn, in words.
        assert {answer["success"] for answer in answers} == {False}
        assert client.call("no such event", {}, timeout=DEADLINE_S)["success"] is False


def test_two_who_share_a_conversation_hear_each_other(server, transports):
    begun = server.post(
        "/api/conversations", {"participantIds": ["dan"]}, token_for("cleo")
    )
    conversation = begun["conversation"]["id"]
    with connect(server, "cleo", transports) as cleo, connect(server, "dan", transports) as dan:
        for client in (cleo, dan):
            joined = client.call("conversation:join", conversation, timeout=DEADLINE_S)
            assert joined["success"] is True
        message = {"conversationId": conversation, "content": "x" * 5000}
        assert cleo.call("message:send", message, timeout=DEADLINE_S)["success"] is True
        (heard,) = hear(dan, "message:new")
        assert heard["content"] == message["content"]
        assert heard["sender"]["id"] == "cleo"


def test_it_comes_back_to_a_server_that_was_killed(server, transports):
    # As `socketio.SimpleClient` does, but that one waits for seconds.
    client = socketio.Client(reconnection_delay=0.05, randomization_factor=0)
    with disconnecting(client):
        back = threading.Event()
        client.on("connect", back.set)
        client.connect(server.url, auth={"token": token_for("eve")}, transports=transports)
        assert back.wait(DEADLINE_S)
        back.clear()
        server.restart()
        assert back.wait(DEADLINE_S)
        assert client.call("no such event", timeout=DEADLINE_S)["success"] is False


def test_who_has_no_token_is_told_why(server, transports):
    client = socketio.SimpleClient()
    with pytest.raises(socketio.exceptions.ConnectionError):
        client.connect(server.url, transports=transports, wait_timeout=DEADLINE_S)
    client.disconnect()


def test_it_may_use_several_namespaces(server, transports):
    client = socketio.Client()
    with disconnecting(client):
        heard = []
        for namespace in ("/", "/chat"):
            client.on("greeting", lambda data, at=namespace: heard.append((at, data)), namespace)
        client.connect(
            server.url,
            auth={"token": token_for("fay")},
            namespaces=["/", "/chat"],
            transports=transports,
            wait_timeout=DEADLINE_S,
        )
        emit(server, {"users": ["fay"]}, "greeting", "hi")
        for namespace in ("/", "/chat"):
            client.call("no such event", namespace=namespace, timeout=DEADLINE_S)
        assert sorted(heard) == [("/", "hi"), ("/chat", "hi")]
