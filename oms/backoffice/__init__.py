"""Building blocks of the admin pages of all apps.

Admin pages show rows and call operations; they never write a row themselves. Every change is made
under the Actor of the logged-in user and recorded in the event log, so Django's own admin log stays
empty.
"""
