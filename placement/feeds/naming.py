"""Names of a scenario as parts of paths and of other names: any text, told apart and told back."""

from urllib.parse import quote, unquote


def part_of(name: str) -> str:
    """A name as a part of a path: letters, digits, - _ . ~ as they are, all else as %XX; a first dot too."""
    quoted = quote(name, safe="")
    return f"%2E{quoted[1:]}" if quoted.startswith(".") else quoted


def name_of(part: str) -> str:
    """The name that `part_of` made the part from."""
    return unquote(part, errors="strict")
