"""Writes outlines.txt: the glyphs of DejaVu Sans that pictures need. Run: make_outlines.py DejaVuSans.ttf > outlines.txt

A line a glyph: code point, advance, then its contours, each `M x y` followed by `L x y` and `Q cx cy x y`, in units of
1/2048 em, y up. Needs fontTools.
"""

import sys

from fontTools.pens.basePen import decomposeQuadraticSegment
from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.ttLib import TTFont

font = TTFont(sys.argv[1])
glyphs, cmap = font.getGlyphSet(), font.getBestCmap()
codes = [*range(0x20, 0x7F), *range(0xA0, 0x100), 0x2013, 0x2026, 0x2032, 0x2033, 0x2212]
for code in codes:
    glyph = glyphs[cmap[code]]
    pen = DecomposingRecordingPen(glyphs)
    glyph.draw(pen)
    words = [f"{code:x}", str(glyph.width)]
    for name, points in pen.value:
        if name == "moveTo":
            words += ["M", *map(str, points[0])]
        elif name == "lineTo":
            words += ["L", *map(str, points[0])]
        elif name == "qCurveTo":
            assert points[-1] is not None
            for control, end in decomposeQuadraticSegment(points):
                words += ["Q", *(f"{v:g}" for v in (*control, *end))]
    print(" ".join(words))
