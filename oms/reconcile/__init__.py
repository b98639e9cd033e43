"""Runs the checks of data that every app keeps in its `checks` module (see oms/checks.py).

Each check is one statement that returns what violates it. All statements see one snapshot, so
changes under way give no false alarm. What follows with a delay (an order follows its payment once
the log's consumer has handled the event) is left out for as long as the event is unprocessed.
"""
