"""What the admin pages of all apps are made of: they present rows and call operations.

Staff never write a row by hand: what an admin page changes, an operation changes, under an Actor
made of the person who is logged in. So every change is in the event log, and Django's own
log of admin actions stays empty.
"""

from oms.http.back_office.admins import OperationAdmin, OperationForm, ReadOnlyAdmin
from oms.http.back_office.steps import BulkStep, Step, StepForm

__all__ = [
    "BulkStep",
    "OperationAdmin",
    "OperationForm",
    "ReadOnlyAdmin",
    "Step",
    "StepForm",
]
