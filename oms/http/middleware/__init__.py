"""The layers around every request, outermost first as in settings.MIDDLEWARE."""

from oms.http.middleware.bodies import BodyLimitMiddleware
from oms.http.middleware.context import RequestContextMiddleware
from oms.http.middleware.deadlines import DeadlineMiddleware
from oms.http.middleware.idempotency import IdempotencyMiddleware
from oms.http.middleware.problems import ProblemMiddleware
from oms.http.middleware.rate_limits import RateLimitMiddleware
from oms.http.middleware.security_policy import ContentSecurityPolicyMiddleware

__all__ = [
    "BodyLimitMiddleware",
    "ContentSecurityPolicyMiddleware",
    "DeadlineMiddleware",
    "IdempotencyMiddleware",
    "ProblemMiddleware",
    "RateLimitMiddleware",
    "RequestContextMiddleware",
]
