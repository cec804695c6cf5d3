import asyncpg

from sandbox.servers import postgres


async def test_a_server_keeps_acknowledged_rows_when_it_is_killed(servers_dir):
    directory = servers_dir / "killed"
    async with postgres.running(directory) as server:
        connection = await asyncpg.connect(server.url())
        await connection.execute("CREATE TABLE kept (number int)")
        await connection.execute("INSERT INTO kept VALUES (7)")
        await connection.close()
    async with postgres.running(directory) as server:
        connection = await asyncpg.connect(server.url())
        assert await connection.fetchval("SELECT number FROM kept") == 7
        await connection.close()
