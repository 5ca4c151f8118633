"""One font that every machine has, and text that it can show.

Bitstream Vera comes with ReportLab (free to embed, see its `bitstream-vera-license.txt`). It has
the Latin letters of Western and Central Europe and the signs of numbers (×, ², –, ≤). Greek and
Cyrillic are spelt in Latin letters; what remains, such as Chinese, is shown as "?", never as an
empty box, and `lacks_letters` tells, so that a report can say where to read it.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import ImageFont

REGULAR, BOLD, ITALIC = "Vera", "VeraBd", "VeraIt"

_GREEK = "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩαβγδεζηθικλμνξοπρσςτυφχψω"
_GREEK_SPELT = (
    "A B G D E Z I Th I K L M N X O P R S T Y F Ch Ps O "
    "a b g d e z i th i k l m n x o p r s s t y f ch ps o"
)
_CYRILLIC = "АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯабвгдеёжзийклмнопрстуфхцчшщъыьэюяІіЇїЄєҐґ"
_CYRILLIC_SPELT = (
    "A B V G D E E Zh Z I I K L M N O P R S T U F Kh Ts Ch Sh Shch - Y - E Yu Ya "
    "a b v g d e e zh z i i k l m n o p r s t u f kh ts ch sh shch - y - e yu ya "
    "I i Yi yi Ye ye G g"
)
_SPELT = {
    letter: latin.strip("-")
    for letters, spelt in ((_GREEK, _GREEK_SPELT), (_CYRILLIC, _CYRILLIC_SPELT))
    for letter, latin in zip(letters, spelt.split(), strict=True)
}
_SPELT |= {"\u2011": "-", "\u2212": "-", "\u2192": "to"}
UNKNOWN = "?"


@lru_cache(maxsize=1)
def register_fonts() -> Any:
    """Makes the fonts known to ReportLab; gives the characters of the regular one."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    for name in (REGULAR, BOLD, ITALIC):
        pdfmetrics.registerFont(TTFont(name, f"{name}.ttf"))
    pdfmetrics.registerFontFamily(
        REGULAR, normal=REGULAR, bold=BOLD, italic=ITALIC, boldItalic=BOLD
    )
    return frozenset(pdfmetrics.getFont(REGULAR).face.charToGlyph)


def printable(text: str) -> str:
    """`text` in letters that the font has."""
    known = register_fonts()
    return "".join(_shown(c, known) for c in unicodedata.normalize("NFC", text))


def lacks_letters(text: str) -> bool:
    """Whether some of `text` can only be shown as "?"."""
    return printable(text).count(UNKNOWN) > text.count(UNKNOWN)


def _shown(character: str, known: frozenset[int]) -> str:
    # Spelt first: of Greek the font has a few letters, as signs of mathematics.
    if character in _SPELT:
        return _SPELT[character]
    if ord(character) in known:
        return character
    parts = unicodedata.normalize("NFKD", character)
    base = [_SPELT.get(c, c) for c in parts if not unicodedata.combining(c)]
    spelt = "".join(base)
    if all(ord(c) in known for c in spelt):
        return spelt
    return UNKNOWN


@lru_cache(maxsize=8)
def picture_font(size: int) -> Any:
    """The same font for letters drawn into pictures."""
    import reportlab

    return ImageFont.truetype(str(Path(reportlab.__file__).parent / "fonts" / "Vera.ttf"), size)
