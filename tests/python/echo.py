"""Stands between Autobahn's cases, which want an echo, and a Socket.IO server.

Frames go to the server as they come, in their number, order, kind, reserved bits and mask. Only the
payload of messages becomes an event, frame by frame: a text `t` is `42<n>["echo","t"]`, escaped byte
by byte, so that what is no UTF-8 stays none, and where it was cut it still is; what is binary is the
attachment of such an event. A text comes back as the argument of the event's acknowledgement, which
the backend of the server's event proxy gives. What is binary the server refuses in an
acknowledgement, once it has it whole; then it is sent back from here.
"""

import asyncio
import base64
import hashlib
import itertools
import json
import re
from contextlib import asynccontextmanager

from conftest import token_for

CONTINUATION, TEXT, BINARY, CLOSE = 0, 1, 2, 8
ESCAPED = re.compile(rb'[\x00-\x1f"\\]')
ACKNOWLEDGEMENT = re.compile(r"43(\d+)")
HANDSHAKE_S = 10


def escape(payload):
    """The inside of a JSON string."""
    return ESCAPED.sub(lambda found: b"\\u%04x" % found[0][0], payload)


def masked(mask, payload):
    """Masks, or takes the mask off."""
    if not payload:
        return payload
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    size = len(payload)
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


def frame(head, payload, mask=None):
    """A frame whose first byte is `head`."""
    flag, size = (0x80 if mask is not None else 0), len(payload)
    if size < 126:
        sizes = bytes([flag | size])
    elif size < 1 << 16:
        sizes = bytes([flag | 126]) + size.to_bytes(2, "big")
    else:
        sizes = bytes([flag | 127]) + size.to_bytes(8, "big")
    if mask is None:
        return bytes([head]) + sizes + payload
    return bytes([head]) + sizes + mask + masked(mask, payload)


async def read_frame(reader):
    """The next frame: its first byte, its mask and its payload without."""
    head, size = await reader.readexactly(2)
    has_mask, size = size & 0x80, size & 0x7F
    if size > 125:
        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
    mask = await reader.readexactly(4) if has_mask else None
    payload = await reader.readexactly(size)
    return head, mask, masked(mask, payload) if has_mask else payload


class Passage:
    """One connection of Autobahn's, and its own to the server."""

    def __init__(self, client, server):
        self.client, self.server = client, server
        self.numbers = itertools.count()
        # What kind of message is under way, and what of it came, where it is binary.
        self.kind, self.parts = None, []
        self.binaries = {}

    async def forwards(self):
        """From Autobahn to the server."""
        reader, (_, writer) = self.client[0], self.server
        while True:
            head, mask, payload = await read_frame(reader)
            writer.write(self.forward(head, mask, payload))
            await writer.drain()

    def forward(self, head, mask, payload):
        opcode, is_last, before = head & 0x0F, head & 0x80, b""
        is_first = opcode in (TEXT, BINARY) and self.kind is None
        if not is_first and (opcode != CONTINUATION or self.kind is None):
            # A control frame, or what no server may take.
            return frame(head, payload, mask)
        if is_first:
            self.kind, self.parts, number = opcode, [], next(self.numbers)
            if opcode == BINARY:
                event = f'451-{number}["echo",{{"_placeholder":true,"num":0}}]'
                before = frame(0x80 | TEXT, event.encode(), mask)
                self.number = number
        if self.kind == TEXT:
            payload = escape(payload)
            if is_first:
                payload = f'42{number}["echo","'.encode() + payload
            if is_last:
                payload += b'"]'
        else:
            self.parts.append(payload)
            if is_last:
                self.binaries[self.number] = b"".join(self.parts)
        if is_last:
            self.kind = None
        return before + frame(head, payload, mask)

    async def backwards(self):
        """From the server to Autobahn."""
        (reader, to_server), (_, writer) = self.server, self.client
        while True:
            head, _, payload = await read_frame(reader)
            if head & 0x0F != TEXT:
                writer.write(frame(head, payload))
            elif payload == b"2":
                to_server.write(frame(0x80 | TEXT, b"3", b"\0\0\0\0"))
            elif found := ACKNOWLEDGEMENT.match(text := payload.decode()):
                (argument,) = json.loads(text[found.end() :])
                writer.write(self.echo(int(found[1]), argument))
            else:
                raise AssertionError(f"not awaited: {text[:200]}")
            await writer.drain()

    def echo(self, number, argument):
        binary = self.binaries.pop(number, None)
        if binary is not None:
            assert argument["error"] == "no event takes binary data", argument
            return frame(0x80 | BINARY, binary)
        assert isinstance(argument, str), argument
        return frame(0x80 | TEXT, argument.encode())


async def connect(port):
    """A websocket whose Socket.IO connection is made."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 26)
    writer.write(
        b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 "), head
    assert (await read_frame(reader))[2].startswith(b"0{")
    auth = json.dumps({"token": token_for("autobahn")})
    writer.write(frame(0x80 | TEXT, f"40{auth}".encode(), b"\0\0\0\0"))
    assert (await read_frame(reader))[2].startswith(b"40{")
    return reader, writer


async def accept(reader, writer):
    """Answers the upgrade of one of Autobahn's connections."""
    head = await reader.readuntil(b"\r\n\r\n")
    key = re.search(rb"sec-websocket-key: *(\S+)", head, re.IGNORECASE)[1]
    accepted = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(accepted) + b"\r\n\r\n"
    )


async def answer_questions(reader, writer):
    """The backend: acknowledges an event with its argument."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            size = int(re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)[1])
            question = json.loads(await reader.readexactly(size))
            body = json.dumps({"ack": question["args"]}, ensure_ascii=False).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
            writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
        # The server has gone, or the test is over.
        pass
    finally:
        writer.close()


@asynccontextmanager
async def backend(port):
    """Listens for the server's questions."""
    async with await asyncio.start_server(answer_questions, "127.0.0.1", port, limit=1 << 26):
        yield


@asynccontextmanager
async def passages(port, failures):
    """Listens for Autobahn, in front of the server at `port`; gives its own port."""

    async def pass_on(*client):
        server = ()
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                server = await connect(port)
                await accept(*client)
            passage = Passage(client, server)
            ways = {asyncio.ensure_future(passage.forwards())}
            ways.add(asyncio.ensure_future(passage.backwards()))
            # Who closes first, closes both.
            done, rest = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in rest:
                way.cancel()
            for way in done:
                error = way.exception()
                if not isinstance(error, (asyncio.IncompleteReadError, ConnectionError)):
                    failures.append(error)
        except Exception as error:  # noqa: BLE001: all of them are failures of the test
            failures.append(error)
        finally:
            for _, writer in filter(None, (client, server)):
                writer.close()

    async with await asyncio.start_server(pass_on, "127.0.0.1", 0, limit=1 << 26) as listening:
        yield listening.sockets[0].getsockname()[1]
