"""The demo shop: products, customers and orders of the last weeks, the same for the same seed.

The operations of the shop make it, each at its own time in the past: the clock is stopped at that
time. `reconcile` finds nothing in it. Times are relative to the current time; ids are random.
"""
