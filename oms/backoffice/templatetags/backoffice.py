"""The formats of `oms.backoffice.display` for templates."""

from django import template

from oms.backoffice.display import choice_badge, money, number, signed

register = template.Library()
register.simple_tag(choice_badge)
register.filter(money)
register.filter(number)
register.filter(signed)
