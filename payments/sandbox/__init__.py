"""The sandbox payment provider: a separate program with its own ledger.

It stands in for a real provider in development and in experiments. It imports nothing of the
product, which reaches it over HTTP alone. `python -m payments.sandbox --help` lists its options,
tokens.py what each test token does.
"""
