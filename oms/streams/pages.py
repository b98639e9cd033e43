"""The demo page: a customer's order, its stock and its notifications, live."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from oms.streams.facts import types_for_customers


def live(request: HttpRequest) -> HttpResponse:
    """A page of plain JavaScript that uses nothing but the API."""
    return render(request, "streams/live.html", {"types": " ".join(types_for_customers())})
