"""How templates become pages: what they may call, and what happens to every value on its way in.

Invariants: every value is escaped, cut and made visible (`finalize` sees each of them); sentences come from the
language's file and nowhere else; what a template calls has no effect.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from conformance.model.record import WaiverState
from conformance.model.verdict import Verdict
from conformance.report import wording
from conformance.report.evidence import blocks
from conformance.report.language import RECORD_LANGUAGE, current, day, digits, template
from conformance.report.text import LONGEST_TEXT, cut, paragraphs, visible

__all__ = ["TEMPLATES", "page_environment", "say_in_page"]

TEMPLATES = Path(__file__).parent / "templates"
FOREIGN = Markup(' lang="{}"').format(RECORD_LANGUAGE)


@cache
def page_environment() -> Environment:
    """The templates of `templates/`, ready to be rendered in the language of the moment."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_fit,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {
        "say": say_in_page,
        "foreign": _foreign,
        "strong": Markup("<strong>{}</strong>").format,
        "link": Markup('<a href="{}">{}</a>').format,
        "time": _time,
        "date": _date,
    }
    environment.filters |= {
        "blocks": blocks,
        "cut": cut,
        "day": day,
        "digits": digits,
        "paragraphs": paragraphs,
        "seconds": wording.seconds,
        "utc": wording.utc,
        "verdict_word": lambda verdict: wording.VERDICT_WORDS[Verdict(verdict)],
        "waiver_sentence": wording.waiver_sentence,
        "waiver_word": lambda state: wording.WAIVER_WORDS[WaiverState(state)],
    }
    return environment


def say_in_page(key: str, /, **values: object) -> Markup:
    """As `language.say`, for HTML: values are made fit and escaped, unless they are markup already."""
    number = values.get("number", 0)
    fit = {name: digits(value) if isinstance(value, int) else _fit(value) for name, value in values.items()}
    return _escaped(template(key, number if isinstance(number, int) else 0)).format(**fit)


@cache
def _escaped(text: str) -> Markup:
    """A text of the catalogue; there are some hundreds of them."""
    return escape(text)


def _fit(value: object) -> object:
    """Whatever the templates show. What they made themselves is fit already."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    # Characters that are named in their place make a text longer.
    return cut(visible(cut(value)), 2 * LONGEST_TEXT)


def _foreign() -> Markup:
    """The attribute of an element whose words are the record's, for a voice that would read them wrongly."""
    return FOREIGN if current().code != RECORD_LANGUAGE else Markup("")


def _time(text: str) -> Markup:
    return Markup('<time datetime="{}">{}</time>').format(text, wording.utc(text))


def _date(text: str) -> Markup:
    return Markup('<time datetime="{}">{}</time>').format(text, day(text))
