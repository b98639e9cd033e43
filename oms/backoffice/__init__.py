"""What the admin pages of all apps are made of: they present rows and call operations.

Staff never write a row by hand: what an admin page changes, an operation changes, under an Actor
made of the person who is logged in. So every change is in the event log, and Django's own
log of admin actions stays empty.
"""
