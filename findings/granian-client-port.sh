#!/usr/bin/env bash
# granian 2.8.7 (https://pypi.org/project/granian/2.8.7/), ASGI 3.0, HTTP and WebSocket connection scopes
# (https://asgi.readthedocs.io/en/stable/specs/www.html#http-connection-scope)
#
# Guess, written down before: scope["client"] is what the specification says, the host as a string and
# the port as an integer, the same pair that getpeername() of the connection returns.
#
# Seen: both members are strings, of HTTP and of WebSockets. uvicorn 0.38.0 gives the integer. A
# program that looks up the client of a request among its connections, or keeps figures of
# connections by (host, port), never finds it: here a watch for silent connections found no request of
# any client, and closed busy connections after ten seconds.
#
# The shop relies on it: oms/fastpath/silent_connections.py turns the port into a number, and
# oms/tests/concurrency/test_web_server.py keeps a busy and an idle connection open beside silent ones.
#
# Run by hand: bash findings/granian-client-port.sh. Takes half a minute. Exit 1: it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check granian==2.8.7 uvicorn==0.38.0

cat > "$folder/app.py" <<'PYTHON'
async def application(scope, receive, send):
    if scope["type"] != "http":
        return
    text = repr([type(part).__name__ for part in scope["client"]]).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text})
PYTHON

cat > "$folder/run.py" <<'PYTHON'
import socket, subprocess, sys, time, urllib.request


def types(command):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = subprocess.Popen([*command, "--port", str(port)], cwd=sys.argv[1])
    try:
        for _ in range(200):
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=5).read().decode()
            except OSError:
                time.sleep(0.1)
        return "no answer"
    finally:
        server.terminate()
        server.wait(20)


programs = f"{sys.argv[1]}/venv/bin"
granian = types([f"{programs}/granian", "app:application", "--interface", "asginl", "--log-level", "error"])
uvicorn = types([f"{programs}/uvicorn", "app:application", "--lifespan", "off", "--log-level", "error"])
print("granian:", granian)
print("uvicorn:", uvicorn)
sys.exit(0 if granian == "['str', 'str']" and uvicorn == "['str', 'int']" else 1)
PYTHON

"$folder/venv/bin/python" "$folder/run.py" "$folder"

# Output seen:
#   granian: ['str', 'str']
#   uvicorn: ['str', 'int']
