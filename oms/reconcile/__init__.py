"""Runs the data checks that each app defines in its `checks` module (see oms/checks.py).

Each check is one statement that returns what violates it. All statements see one snapshot, so
changes in progress cause no false alarm. Data that are updated with a delay (an order, once its
payment's event is handled) are skipped as long as the event is unprocessed.
"""
