"""Names for identifiers: lower case, ASCII, words joined by hyphens."""

import re
import unicodedata

_UNDECOMPOSED = str.maketrans({"ø": "o", "ł": "l", "ß": "ss", "đ": "d", "ı": "i", "æ": "ae", "œ": "oe", "ð": "d"})


def slug(name: str) -> str:
    """`São Paulo` becomes `sao-paulo`."""
    folded = unicodedata.normalize("NFKD", name.casefold().translate(_UNDECOMPOSED))
    ascii_only = folded.encode("ascii", "ignore").decode("ascii").replace("'", "")
    return re.sub(r"[^a-z0-9]+", "-", ascii_only).strip("-")
