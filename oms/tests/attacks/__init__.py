"""Attacks on the API, generated from the URLconf and from the OpenAPI document.

`operations.py` lists what is there, `access.py` who may call it and with what. A route that is
missing there fails the suite. Each test also shows that it can fail: the call that is refused
succeeds for the right caller, or is not refused once the protection is taken away. The WebSocket,
which no URLconf has, is attacked in the same ways by `test_web_socket.py`.
"""
