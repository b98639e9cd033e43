from oms.http.tests.conftest import *  # noqa: F403  # the same small resource for both
