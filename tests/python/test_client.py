"""python-socketio, as it comes, on each of its transports."""

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


def test_it_goes_on_after_the_server_has_closed_it(server, transports):
    with connect(server, "eve", transports) as client:
        client.client.eio.disconnect(abort=True)
        emit(server, {"user": "nobody"}, "greeting", {})
        client.connected_event.wait(timeout=DEADLINE_S)
        assert client.call("no such event", timeout=DEADLINE_S)["success"] is False


def test_who_has_no_token_is_told_why(server, transports):
    client = socketio.SimpleClient()
    with pytest.raises(socketio.exceptions.ConnectionError, match="No token provided"):
        client.connect(server.url, transports=transports, wait_timeout=DEADLINE_S)
    client.disconnect()


def test_it_may_use_several_namespaces(server, transports):
    with socketio.Client() as client:
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
