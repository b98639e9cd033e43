"""Links to the tracking pages of carriers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

# By the first word of the carrier's name in small letters; {} is the tracking number.
_PAGES: Mapping[str, str] = {
    "colissimo": "https://www.laposte.fr/outils/suivre-vos-envois?code={}",
    "dhl": "https://www.dhl.com/en/express/tracking.html?AWB={}",
    "dpd": "https://tracking.dpd.de/parcelstatus?query={}",
    "fedex": "https://www.fedex.com/fedextrack/?trknbr={}",
    "gls": "https://gls-group.com/track/{}",
    "hermes": "https://www.myhermes.de/empfangen/sendungsverfolgung/sendungsinformation/#{}",
    "postnl": "https://postnl.nl/tracktrace/?B={}",
    "royal": "https://www.royalmail.com/track-your-item#/tracking-results/{}",
    "ups": "https://www.ups.com/track?tracknum={}",
    "usps": "https://tools.usps.com/go/TrackConfirmAction?tLabels={}",
}


def tracking_url(carrier: str, tracking_number: str) -> str:
    """The page on which the carrier shows the shipment; "" if it is not known or has no number."""
    words = re.findall(r"[a-z]+", carrier.lower())
    page = _PAGES.get(words[0]) if words else None
    if page is None or not tracking_number:
        return ""
    return page.format(quote(tracking_number.replace(" ", ""), safe=""))
