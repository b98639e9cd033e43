#!/usr/bin/env bash
# granian 2.8.7 (https://pypi.org/project/granian/2.8.7/), WebSockets over ASGI 3.0, with the client of
# websockets 15.0.1 (https://pypi.org/project/websockets/15.0.1/)
#
# Guess, written down before: an application that waits in receive() in one task and sends
# websocket.close in another, as any that pushes messages does, closes the connection with its code.
#
# Seen: while a receive() is pending the close frame is not sent. The client waits, and gets it only if it
# sends something itself; the pending receive() then returns websocket.disconnect. If the task that
# receives is cancelled before, the close frame with its code arrives at once. Messages are sent in
# either case. So code that ends sessions, or says 1012 before a restart, seems to work with a client that
# talks, and leaves quiet ones connected.
#
# The shop relies on it: oms/streams/web_socket.py ends its reader before it closes.
#
# Run by hand: bash findings/granian-close-while-receiving.sh. Takes half a minute. Exit 1: it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check granian==2.8.7 websockets==15.0.1

cat > "$folder/app.py" <<'PYTHON'
import asyncio


async def application(scope, receive, send):
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})

    async def read():
        await receive()

    reader = asyncio.create_task(read())
    await asyncio.sleep(0.2)
    if scope["path"] == "/cancelled-first":
        reader.cancel()
        await asyncio.wait([reader])
    await send({"type": "websocket.close", "code": 4401})
    if not reader.cancelled():
        await reader
PYTHON

cat > "$folder/run.py" <<'PYTHON'
import socket, subprocess, sys, time

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

with socket.create_server(("127.0.0.1", 0)) as probe:
    port = probe.getsockname()[1]
server = subprocess.Popen(
    [f"{sys.argv[1]}/venv/bin/granian", "app:application", "--interface", "asginl", "--port", str(port),
     "--log-level", "error"], cwd=sys.argv[1])


def outcome(path):
    for _ in range(100):
        try:
            with connect(f"ws://127.0.0.1:{port}{path}", proxy=None, close_timeout=1) as client:
                try:
                    client.recv(timeout=3)
                except ConnectionClosed as closed:
                    return closed.rcvd.code if closed.rcvd else None
                except TimeoutError:
                    return "nothing within 3 s"
        except ConnectionRefusedError:
            time.sleep(0.1)


try:
    pending, cancelled = outcome("/pending"), outcome("/cancelled-first")
    print("close while receive() is pending:", pending)
    print("close after the pending receive() was cancelled:", cancelled)
    sys.exit(0 if pending == "nothing within 3 s" and cancelled == 4401 else 1)
finally:
    server.terminate()
    server.wait(20)
PYTHON

"$folder/venv/bin/python" "$folder/run.py" "$folder"

# Output seen:
#   close while receive() is pending: nothing within 3 s
#   close after the pending receive() was cancelled: 4401
