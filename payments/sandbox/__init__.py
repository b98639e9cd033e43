"""The sandbox payment provider: a separate program with its own ledger.

It replaces a real provider in development and tests. It imports nothing of the shop, which calls
it over HTTP only. `python -m payments.sandbox --help` lists its options, and tokens.py what each
test token does.
"""
