#!/usr/bin/env bash
# granian 2.8.7 (https://pypi.org/project/granian/2.8.7/), option --http ("HTTP version", default
# auto: https://github.com/emmett-framework/granian#options)
#
# Guess, written down before: clients that speak HTTP/1.1 are served alike with --http auto and with
# --http 1. To tell the versions apart takes the first bytes of a connection, so it costs a few bytes
# of memory until then, and nothing afterwards.
#
# Seen: with auto each connection whose response is still open (Server-Sent Events) takes about 12 KB
# more for as long as it is open, 29 KB instead of 17 to 19. Five thousand streams of a trivial
# application take 145 MB with the default and 84 MB with --http 1.
#
# The shop serves HTTP/1 alone (oms/granian_server.py); docs/performance.md has what its streams take.
#
# Run by hand: bash findings/granian-http-auto-memory.sh. Takes half a minute. Exit 1: it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check granian==2.8.7 psutil==7.1.3

cat > "$folder/app.py" <<'PYTHON'
import asyncio


async def application(scope, receive, send):
    if scope["type"] != "http":
        return
    await receive()
    gone = asyncio.ensure_future(receive())
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
    await gone
PYTHON

cat > "$folder/run.py" <<'PYTHON'
import resource, socket, subprocess, sys, time

import psutil

STREAMS = 800
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


def connected(port):
    for _ in range(200):
        try:
            return socket.create_connection(("127.0.0.1", port))
        except OSError:
            time.sleep(0.1)
    sys.exit("no server")


def kilobytes(http):
    """What one open response takes."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [f"{sys.argv[1]}/venv/bin/granian", "app:application", "--interface", "asginl"]
        + ["--port", str(port), "--http", http, "--log-level", "error"],
        cwd=sys.argv[1],
    )
    try:
        connected(port).close()
        time.sleep(1)
        [worker] = psutil.Process(server.pid).children()
        before = worker.memory_info().rss
        streams = [connected(port) for _ in range(STREAMS)]
        for stream in streams:
            stream.sendall(b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
            stream.recv(100)
        time.sleep(1)
        return (worker.memory_info().rss - before) / STREAMS / 1000
    finally:
        worker.kill()
        server.kill()
        server.wait(20)


automatic, first = kilobytes("auto"), kilobytes("1")
print(f"--http auto: {automatic:.0f} KB, --http 1: {first:.0f} KB for each open response")
sys.exit(0 if automatic > 1.4 * first else 1)
PYTHON

"$folder/venv/bin/python" "$folder/run.py" "$folder"

# Output seen:
#   --http auto: 29 KB, --http 1: 19 KB for each open response
