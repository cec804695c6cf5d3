"""The measuring client, against a server that counts."""

import asyncio

import pytest

from bench.wire import Ask, Connection, hammer


@pytest.fixture
async def counted():
    """A server that answers with how often it was asked, and knows nothing of /missing."""
    asked = 0

    async def serve(reader, writer):
        nonlocal asked
        while head := await reader.readline():
            while (await reader.readline()).strip():
                pass
            asked += 1
            body = f"{asked}".encode()
            status = b"404 Not Found" if b"/missing" in head else b"200 OK"
            writer.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    yield f"http://{host}:{port}"
    server.close()


async def test_one_connection_asks_again_and_again(counted):
    async with Connection(Ask(url=counted)) as connection:
        assert [await connection.ask() for _ in range(3)] == [b"1", b"2", b"3"]


async def test_anything_but_a_200_is_an_error(counted):
    async with Connection(Ask(url=f"{counted}/missing")) as connection:
        with pytest.raises(RuntimeError, match="404"):
            await connection.ask()


async def test_every_answer_is_timed(counted):
    taken = await hammer(Ask(url=counted), connections=4, seconds=0.5)
    async with Connection(Ask(url=counted)) as connection:
        assert int(await connection.ask()) == len(taken) + 1
    assert min(taken) > 0
