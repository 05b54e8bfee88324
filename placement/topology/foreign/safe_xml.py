"""XML from anybody: no document type, so no entities to expand (a few lines of them make gigabytes); no deep nesting.

Expat limits the expansion of entities itself since 2.4.1; which one is at hand is left to nobody's luck here.
"""

from xml.parsers import expat

from placement.topology.foreign.network import UnreadableGraphError

DEEPEST = 64


def root_name(file: str, text: str) -> str:
    """The local name of the root element, once the whole text has been found well-formed and harmless.

    Raises:
        UnreadableGraphError: it is neither.
    """
    open_elements: list[str] = []
    root: list[str] = []

    def begin(name: str, _: dict[str, str]) -> None:
        if not root:
            root.append(name)
        open_elements.append(name)
        if len(open_elements) > DEEPEST:
            raise UnreadableGraphError(file, [f"elements are nested more than {DEEPEST} deep. Write the graph flat"])

    def doctype(*_: object) -> None:
        raise UnreadableGraphError(
            file, ["it has a <!DOCTYPE>, which may declare entities and is not read. Remove that declaration"]
        )

    parser = expat.ParserCreate()
    parser.StartElementHandler = begin
    parser.EndElementHandler = lambda _: open_elements.pop()
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise UnreadableGraphError(file, [f"no XML: {error}. Mend the file"]) from error
    return root[0].rpartition(":")[2]
