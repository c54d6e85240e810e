# SPDX-License-Identifier: BSD-2-Clause
"""aiohttp's server: prints a line of JSON for each request that it has read to its end.

    echo_aiohttp.py PORT
"""
import asyncio
import json
import sys

from aiohttp import web


async def answer(request):
    body = await request.read()
    sys.stdout.write(json.dumps({"method": request.method, "target": request.raw_path,
                                 "body": body.decode("latin-1")}) + "\n")
    sys.stdout.flush()
    return web.Response(text="ok")


async def main():
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(sys.argv[1])).start()
    await asyncio.Event().wait()


asyncio.run(main())
