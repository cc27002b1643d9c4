#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Peer of the bench: Python's asyncio with streams, one thread.

usage: py_asyncio.py PORT
"""

import asyncio
import sys

BUFFER_BYTES = 65536


async def echo(reader, writer):
    try:
        while data := await reader.read(BUFFER_BYTES):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass    # this client is gone
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(echo, "127.0.0.1", int(sys.argv[1]), backlog=4096,
                                        limit=BUFFER_BYTES)
    async with server:
        await server.serve_forever()


asyncio.run(main())
