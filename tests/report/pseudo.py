"""Reading what was made in the pseudo-language (the fixture `pseudo`), in which every text stands in ⟦⟧."""

from __future__ import annotations

import re


def unmarked_words(page: str) -> list[str]:
    """Words that are neither in ⟦⟧, nor from the record (which `lang`, `bdi`, `code` and `time` mark)."""
    body = re.sub(r"<(style)\b.*?</\1>", "", page, flags=re.DOTALL)
    for element in ("bdi", "code", "time", "pre"):
        body = re.sub(rf"<{element}\b[^>]*>.*?</{element}>", "", body, flags=re.DOTALL)
    body = re.sub(r'<(\w+)[^>]* lang="en"[^>]*>[^<]*</\1>', "", body)
    body = re.sub(r'<(\w+) class="id"[^>]*>[^<]*</\1>', "", body)
    body = re.sub(r"<!.*?>|<[^>]*>", "", body)
    before = None
    while before != body:
        before, body = body, re.sub(r"⟦[^⟦⟧]*⟧", "", body)
    return re.findall(r"[^\W\d_]{2,}", body)
