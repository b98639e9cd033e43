#!/usr/bin/env bash
# httpx-sse 0.4.3 (https://pypi.org/project/httpx-sse/0.4.3/), event streams as the HTML Living Standard
# defines them (https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation)
#
# Guess, written down before: a block without a data line makes no event, as the standard says ("If
# the data buffer is an empty string, set the data buffer and the event type buffer to the empty string
# and return"). So a server may send a comment and a blank line as a heartbeat, "retry" alone to set the
# pause, and "id" alone to move the position.
#
# Seen: each of them is an event of type "message" with empty data: "retry" alone, "id" alone and, once any
# id was received, every comment with a blank line after it, so every heartbeat. A client that parses the
# data as JSON fails at the first quiet moment. A comment line without a blank line makes no event.
# sseclient-py 1.8.0 makes none of the three.
#
# The shop relies on it: its heartbeats (oms/streams/event_stream.py) have no blank line, and "retry"
# stands in a block with data or last; docs/live.md.
#
# Run by hand: bash findings/httpx-sse-blocks-without-data.sh. Takes half a minute. Exit 1: it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    httpx==0.28.1 httpx-sse==0.4.3 sseclient-py==1.8.0

cat > "$folder/run.py" <<'PYTHON'
import http.server, sys, threading

import httpx, httpx_sse, sseclient

STREAMS = {
    "/retry": b"retry: 2000\n\n",
    "/id": b"id: 7\n\n",
    "/comment": b"id: 7\nevent: order\ndata: {}\n\n: still here\n\n",
    "/line": b"id: 7\nevent: order\ndata: {}\n\n: still here\n",
}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(STREAMS[self.path])

    def log_message(self, *arguments):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
found = {}
with httpx.Client(base_url=f"http://127.0.0.1:{server.server_port}") as client:
    for path in STREAMS:
        with httpx_sse.connect_sse(client, "GET", path) as source:
            one = [(event.event, event.data) for event in source.iter_sse()]
        with client.stream("GET", path) as response:
            other = [(event.event, event.data) for event in sseclient.SSEClient(response.iter_bytes()).events()]
        found[path] = (one, other)
        print(path, "httpx-sse:", one, "sseclient-py:", other)
server.shutdown()
empty, order = ("message", ""), ("order", "{}")
expected = {
    "/retry": ([empty], []),
    "/id": ([empty], []),
    "/comment": ([order, empty], [order]),
    "/line": ([order], [order]),
}
sys.exit(0 if found == expected else 1)
PYTHON

"$folder/venv/bin/python" "$folder/run.py"

# Output seen:
#   /retry httpx-sse: [('message', '')] sseclient-py: []
#   /id httpx-sse: [('message', '')] sseclient-py: []
#   /comment httpx-sse: [('order', '{}'), ('message', '')] sseclient-py: [('order', '{}')]
#   /line httpx-sse: [('order', '{}')] sseclient-py: [('order', '{}')]
