"""Papers as a reader has them: the text that is on them, and the barcodes that a scanner finds on the drawn page."""

from io import BytesIO

import pypdf
import pypdfium2
import zxingcpp


def text_of(paper: bytes) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(BytesIO(paper)).pages)


def pages_of(paper: bytes) -> list[tuple[float, float]]:
    """The width and height of each page, in whole mm."""
    boxes = [page.mediabox for page in pypdf.PdfReader(BytesIO(paper)).pages]
    return [(round(float(box.width) / 72 * 25.4), round(float(box.height) / 72 * 25.4)) for box in boxes]


def barcodes_of(paper: bytes, page: int = 0, dpi: int = 300) -> list[str]:
    """What is read from a page, from top to bottom, printed as finely as office printers do."""
    document = pypdfium2.PdfDocument(paper)
    try:
        picture = document[page].render(scale=dpi / 72).to_pil()
    finally:
        document.close()
    found = zxingcpp.read_barcodes(picture)
    return [code.text for code in sorted(found, key=lambda code: code.position.top_left.y)]
