"""PURE: counts for people, short, in the language of a show: 950, 1.2K, 3.4M."""

from __future__ import annotations

from typing import Final

LOCALES: Final[dict[str, tuple[str, ...]]] = {
    "en": ("K", "M", "B", "T"),
    "km": ("ពាន់", "លាន", "ប៊ីលាន", "ទ្រីលាន"),
}
"""The words for 10^3, 10^6, 10^9 and 10^12, as Unicode's CLDR has them. Both write digits and decimal point alike."""


def formatted(count: int, locale: str = "en") -> str:
    """A count with one decimal from 1,000 on: rounded half up, and carried, so never 1000.0K. Its width on a screen
    changes as little as can be: a zero behind the point stays. KeyError for a locale that is not in LOCALES."""
    units = LOCALES[locale]
    if count < 1000:
        return str(count)
    scale = 1000
    for unit in units:
        tenths = (count * 10 + scale // 2) // scale
        if tenths < 10_000 or unit == units[-1]:
            break
        scale *= 1000
    return f"{tenths // 10}.{tenths % 10}{unit}"
