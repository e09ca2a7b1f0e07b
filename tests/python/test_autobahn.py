"""Autobahn's cases for websockets, but those of compression, which this server does not offer."""

import asyncio
import base64
import os
import socket

import kosoku

import echo
from conftest import Server

CASES = 301
SECRET = "whsec_" + base64.b64encode(b"stoa tests, 32 bytes of a secret").decode()
# A case sends up to 16 MiB.
LARGEST = 20_000_000


async def play(port, asked):
    failures = []
    async with echo.backend(asked), echo.passages(port, failures) as passage:
        try:
            include = os.environ.get("CASES", "*").split(",")
            results = await kosoku.run_fuzzingclient(
                f"ws://127.0.0.1:{passage}", include, ["12.*", "13.*"], concurrency=4
            )
        except kosoku.FailureError as failed:
            return failed.results, failures, str(failed)
    return results, failures, None


def test_every_case_is_passed():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        asked = probe.getsockname()[1]
    with Server(
        PROXY_URL=f"http://127.0.0.1:{asked}/echo",
        PROXY_SECRET=SECRET,
        PROXY_EVENTS="echo",
        LIMITS="off",
        PRESENCE_AUDIENCE="off",
        STOA_SERVER__MAX_PAYLOAD_BYTES=str(LARGEST),
        STOA_REALTIME__MAX_PENDING_BYTES=str(4 * LARGEST),
    ) as server:
        results, failures, failed = asyncio.run(play(server.port, asked))
        assert failed is None, failed
        assert not failures, failures
        assert "CASES" in os.environ or len(results) == CASES
        assert "ERROR" not in server.log(), server.log()
