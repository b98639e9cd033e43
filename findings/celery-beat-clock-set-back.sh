#!/usr/bin/env bash
# celery 5.6.3 (https://pypi.org/project/celery/5.6.3/), `celery beat` with an interval schedule, and
# libfaketime 3.0.0 (https://pypi.org/project/libfaketime/3.0.0/) for its clock
#
# Guess, written down before: an entry that runs "every second" is timed by intervals, so when the clock
# of the machine is corrected, beat goes on within a second or two.
#
# Seen: after a jump forward it goes on. After the clock was set back by an hour, which only undoes that
# jump, it sends nothing: an entry is due at `last_run_at` plus its interval, both on the wall clock, and
# `last_run_at` lies an hour ahead. No message says so. To start beat again does not help, for it keeps
# `last_run_at` in its file; nothing is sent until the clock arrives there.
#
# The shop relies on it: oms/background.py has a scheduler of its own that moves such times back.
#
# Run by hand: bash findings/celery-beat-clock-set-back.sh. Takes a minute. Exit 1: it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check celery==5.6.3 libfaketime==3.0.0

cat > "$folder/app.py" <<'PYTHON'
from celery import Celery

app = Celery("app", broker="memory://")
app.conf.beat_schedule = {"tick": {"task": "tick", "schedule": 1.0}}
PYTHON

cat > "$folder/run.py" <<'PYTHON'
import os, pathlib, subprocess, sys, time

import libfaketime

folder = pathlib.Path(sys.argv[1])
library = next(pathlib.Path(libfaketime.__file__).parent.glob("vendor/**/libfaketime*.so.1"))
clock, log = folder / "clock", folder / "log"
clock.write_text("+0")
environment = {**os.environ, "LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(clock),
               "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def start():
    with log.open("a") as output:
        return subprocess.Popen(
            [f"{folder}/venv/bin/celery", "-A", "app", "beat", "-l", "info", "-s", f"{folder}/schedule"],
            cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)



def sent_within(seconds):
    before = log.read_text().count("Sending due task")
    time.sleep(seconds)
    return log.read_text().count("Sending due task") - before


log.touch()
beat = start()
try:
    while "Sending due task" not in log.read_text():
        time.sleep(0.2)
    found = {"right": sent_within(10)}
    clock.write_text("+3600")
    found["an hour ahead"] = sent_within(10)
    clock.write_text("+0")
    time.sleep(2)
    found["right again"] = sent_within(10)
    beat.terminate()
    beat.wait()
    beat = start()
    time.sleep(3)
    found["right, beat started again"] = sent_within(10)
finally:
    beat.terminate()
    beat.wait()
for name, number in found.items():
    print(f"Clock {name}: {number} tasks sent in 10 s")
sys.exit(not (found["right"] > 5 and found["an hour ahead"] > 5 and found["right again"] == 0
             and found["right, beat started again"] == 0))
PYTHON

"$folder/venv/bin/python" "$folder/run.py" "$folder"
# Output of 2026-11-30:
# Clock right: 9 tasks sent in 10 s
# Clock an hour ahead: 10 tasks sent in 10 s
# Clock right again: 0 tasks sent in 10 s
# Clock right, beat started again: 0 tasks sent in 10 s
