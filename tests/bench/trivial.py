"""The comparison server: what aiohttp costs when nothing is decided.

A plain routed application with one POST handler that reads the body and answers a constant
AdmissionReview. Its first line of output is its port; its CPU time is measured from outside.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
import sys
from collections.abc import Callable

import uvloop
from aiohttp import web

PATH = "/validate-apps-v1-deployment"
ANSWER = (
    b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview",'
    b'"response":{"uid":"705ab4f5-6393-11e8-b7cc-42010a800002","allowed":true}}'
)
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


async def answer(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(body=ANSWER, content_type="application/json")


async def serve(cert: str, key: str) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(cert, key)
    app = web.Application(client_max_size=8 * 1024 * 1024)
    app.router.add_post(PATH, answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cert", required=True, help="PEM file of the certificate chain")
    options.add_argument("--key", required=True, help="PEM file of the private key")
    options.add_argument("--loop", choices=sorted(LOOPS), default="asyncio")
    given = options.parse_args()
    with asyncio.Runner(loop_factory=LOOPS[given.loop]) as runner:
        runner.run(serve(given.cert, given.key))


if __name__ == "__main__":
    main()
