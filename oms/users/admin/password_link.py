"""The page where a new member of the staff sets the password, by the link of a mail."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from oms.backoffice.form_errors import add_errors
from oms.core.actor import anonymous
from oms.core.errors import OperationError
from oms.users.admin.users import PasswordForm
from oms.users.errors import PasswordLinkInvalid
from oms.users.operations.password_links import (
    LONGEST_TOKEN,
    is_good_token,
    set_password_by_link,
)


class PasswordLinkForm(PasswordForm):
    """The new password, twice; the token comes from the link and is sent in the body alone."""

    token = forms.CharField(max_length=LONGEST_TOKEN, widget=forms.HiddenInput)


@method_decorator([never_cache, sensitive_post_parameters()], name="dispatch")
class PasswordLinkView(View):
    """Nobody is logged in by it: who has set the password logs in with it."""

    def get(self, request: HttpRequest) -> HttpResponse:
        token = request.GET.get("token", "")[:LONGEST_TOKEN]
        form = PasswordLinkForm(initial={"token": token}, subject=None)
        return self._page(request, form, is_good=is_good_token(token))

    def post(self, request: HttpRequest) -> HttpResponse:
        form = PasswordLinkForm(request.POST, subject=None)
        if not form.is_valid():
            return self._page(request, form, is_good="token" not in form.errors)
        actor = anonymous(
            request_id=getattr(request, "request_id", ""),
            ip=getattr(request, "client_address", None),
        )
        values = form.cleaned_data
        try:
            set_password_by_link(actor=actor, token=values["token"], password=values["password"])
        except PasswordLinkInvalid:
            return self._page(request, form, is_good=False)
        except OperationError as error:
            add_errors(form, error)
            return self._page(request, form, is_good=True)
        messages.success(request, _("Password set. You can log in now."))
        return HttpResponseRedirect(reverse("admin:login"))

    def _page(self, request: HttpRequest, form: PasswordLinkForm, *, is_good: bool) -> HttpResponse:
        context: dict[str, Any] = {
            **admin.site.each_context(request),
            "title": _("Set your password"),
            "form": form,
            "is_good": is_good,
            "invalid": PasswordLinkInvalid().message,
        }
        return TemplateResponse(
            request,
            "users/password_link.html",
            context,
            status=200 if is_good else 400,
            # The address of this page is a secret as long as the link is good. With "no-referrer"
            # browsers would not say either where its own form comes from, and be refused.
            headers={"Referrer-Policy": "same-origin"},
        )
