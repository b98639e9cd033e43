"""Settings, all of them taken from the environment; see .env.example for the list.

One module for each topic; together they are Django's settings.
"""

from oms.settings.api import *
from oms.settings.application import *
from oms.settings.environment import *
from oms.settings.retention import *
from oms.settings.retries import *
from oms.settings.security import *
from oms.settings.services import *
from oms.settings.shop import *
