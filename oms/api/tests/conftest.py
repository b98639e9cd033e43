# The same small resource, and the same fresh limits, as in the tests of oms.http.
from oms.http.tests.conftest import _limits_afresh, _urls, client, customer, staff

__all__ = ["_limits_afresh", "_urls", "client", "customer", "staff"]
