"""The sandbox payment provider: a program of its own, with a ledger of its own.

It stands for a real provider on development machines and in experiments, so it imports nothing of
the product, and the product reaches it over HTTP alone. What its answers, tokens and webhooks are
is described in `python -m payments.sandbox --help` and in the modules here.
"""
