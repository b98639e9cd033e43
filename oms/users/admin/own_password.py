"""The page where a user of the back office changes their own password."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.views import PasswordChangeView
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse_lazy
from unfold.forms import AdminOwnPasswordChangeForm

from oms.backoffice.actors import staff_actor
from oms.users.operations.staff import set_password


class OwnPasswordView(PasswordChangeView):
    """Django's page, with the password set by the operation and so recorded in the event log.

    It ends the user's API sessions and their sessions in other browsers, but not this one.
    """

    form_class = AdminOwnPasswordChangeForm
    success_url = reverse_lazy("admin:password_change_done")
    template_name = "registration/password_change_form.html"

    def form_valid(self, form: Any) -> HttpResponse:
        password = form.cleaned_data["new_password1"]
        user = set_password(
            actor=staff_actor(self.request), user_id=form.user.pk, password=password
        )
        update_session_auth_hash(self.request, user)
        return HttpResponseRedirect(self.get_success_url())

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        return super().get_context_data(**admin.site.each_context(self.request), **context)
