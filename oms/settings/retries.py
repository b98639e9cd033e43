"""How often each kind of work is retried before staff must look at it.

The keys are the labels of the models whose rows are the work (oms/queue).
"""

from __future__ import annotations

from oms.core.retries import RetryPolicy

RETRY_POLICIES = {
    # About eight hours; of what waits for a provider that is away, one a second is attempted.
    "payments.payment": RetryPolicy(attempts=60, first_pause=1, longest_pause=600),
    "payments.refund": RetryPolicy(attempts=60, first_pause=1, longest_pause=600),
    # About a day, as a mail server that delays unknown senders or a full mailbox may need; while
    # the mail server cannot be reached, no attempts are made.
    "notifications.notification": RetryPolicy(attempts=14, first_pause=60, longest_pause=14_400),
    # About ten minutes: a failed event is a fault of ours more often than not.
    "events.deadletter": RetryPolicy(attempts=8, first_pause=5, longest_pause=3600),
}
