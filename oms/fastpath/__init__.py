"""The ASGI front of the web process: batches of hot routes, and Django for everything else.

The fast path takes a request of a hot route if nothing about it is unusual, and answers it in a
batch of such requests, by the same handler that the REST framework view calls
(oms/api/handlers.py). Everything else is left to Django before it has any effect, so errors are
produced in one place, and switching the fast path off (settings.FAST_PATH) changes only the speed.
"""
