"""`make run` on one machine: PostgreSQL and Valkey from wheels, and the processes of the Procfile.

The tests use the two servers too; production sets DATABASE_URL and REDIS_URL instead. Nothing here
needs Django. `sockets` needs no package of requirements-local.txt either, for the settings import
it.
"""
