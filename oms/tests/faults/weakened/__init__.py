"""Settings of a shop whose protections can be taken away: the negative control of a race.

The folder is on the PYTHONPATH of the shop, so that it works with any checkout.
"""
