#!/usr/bin/env bash
# granian 2.8.7 (https://pypi.org/project/granian/2.8.7/, granian/server/common.py, `_serve_loop`)
#
# Guess, written down before: with --respawn-failed-workers a worker that is killed is replaced, however
# often that happens, and the other workers go on serving.
#
# Seen: a worker that is killed once is replaced. If its replacement is killed within 5.5 seconds of its
# start, the whole server stops, with exit code 1, and so do the workers that were healthy. The
# option's help says "Enable workers respawn on unexpected exit" and names no limit; --respawn-interval
# (3.5 s) concerns planned restarts and does not change it. An operator who kills a worker twice, or two
# requests that each end a worker, stop the server; what starts it again must be another process.
#
# The shop relies on it: its supervisor (oms/devserver/supervisor.py) and the restart policy of the
# containers start the server again; docs/decisions/0020-supervision.md.
#
# Run by hand: bash findings/granian-second-death.sh. Takes half a minute. Exit 1: it has changed.
set -euo pipefail

folder=$(mktemp -d)
server=
cleanup() {
    if [ -n "$server" ]; then kill -9 "$server" 2>/dev/null || true; fi
    rm -rf "$folder"
}
trap cleanup EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check granian==2.8.7 psutil==7.1.3

cat > "$folder/app.py" <<'PYTHON'
async def application(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
PYTHON

cat > "$folder/run.py" <<'PYTHON'
import subprocess, sys, time, urllib.request
import socket
import psutil

with socket.create_server(("127.0.0.1", 0)) as probe:
    port = probe.getsockname()[1]
server = subprocess.Popen(
    [sys.argv[1], "app:application", "--interface", "asgi", "--port", str(port), "--workers", "2",
     "--respawn-failed-workers", "--log-level", "error"], cwd=sys.argv[2])
main = psutil.Process(server.pid)


def workers():
    found = [w for w in main.children() if "resource_tracker" not in " ".join(w.cmdline())]
    return sorted(found, key=lambda w: w.create_time())


def wait(condition, seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return False


def answers():
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=1).status == 200
    except OSError:
        return False


try:
    assert wait(lambda: len(workers()) == 2 and answers(), 20), "the server did not start"
    time.sleep(7)  # older than any limit
    first, second = workers()
    first.kill()
    replaced = wait(lambda: len(workers()) == 2 and first.pid not in [w.pid for w in workers()], 5)
    print("a worker was killed; replaced:", replaced)
    replacement = [w for w in workers() if w.pid not in (first.pid, second.pid)][0]
    replacement.kill()
    ended = wait(lambda: server.poll() is not None, 15)
    print("its replacement was killed at once; the server ended:", ended, "exit code:", server.poll(),
          "the healthy worker still runs:", second.is_running() and second.status() != "zombie")
    sys.exit(0 if replaced and ended and server.poll() == 1 else 1)
finally:
    if server.poll() is None:
        for process in [*main.children(recursive=True), main]:
            process.kill()
PYTHON

"$folder/venv/bin/python" "$folder/run.py" "$folder/venv/bin/granian" "$folder" 2>/dev/null

# Output seen:
#   a worker was killed; replaced: True
#   its replacement was killed at once; the server ended: True exit code: 1 the healthy worker still runs: False
