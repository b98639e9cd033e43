"""The ASGI side of the web process: a lane for the few hot routes, and Django for the rest.

The lane is an optimist. It takes a request of a hot route only if it is in good order, and answers
it from a batch of such requests that share one transaction. Whatever is unusual about a request, it
steps aside before anything has happened, and Django answers: so every rule and every refusal of
bad input has one home, and switching the lane off (settings.FAST_PATH) changes speed alone.
"""
