"""The start page: where the documentation, the API and the back office are."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers


def home(request: HttpRequest) -> HttpResponse:
    """A page for browsers, JSON for other clients."""
    links = {
        "documentation": reverse("docs"),
        "live": reverse("live"),
        "schema": reverse("schema"),
        "back_office": reverse("admin:index"),
        "health": reverse("ready"),
    }
    response: HttpResponse
    if request.get_preferred_type(["application/json", "text/html"]) == "text/html":
        response = render(request, "home.html", {"shop": settings.SHOP_NAME, **links})
    else:
        absolute = {name: request.build_absolute_uri(path) for name, path in links.items()}
        response = JsonResponse({"name": settings.SHOP_NAME, **absolute})
    patch_vary_headers(response, ["Accept"])
    return response
