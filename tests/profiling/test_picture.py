"""The picture of receptive fields."""

from xml.etree import ElementTree as ET

from videoclf.profiling.fields import Field
from videoclf.profiling.picture import Panel, draw, growth

SEEN = "#d1495b"


def field(num_seen, edge):
    return Field((True,) * num_seen + (False,) * (10 - num_seen), edge, edge, 0, 0)


def test_cells_and_squares():
    layers = [("conv<1>", field(3, 8)), ("mean", field(10, 32))]
    root = ET.fromstring(draw([Panel("net & co", "10 frames", layers, 32)]))
    rectangles = list(root.iter("{http://www.w3.org/2000/svg}rect"))
    assert sum(r.get("fill") == SEEN for r in rectangles) == 3 + 1 + 10 + 1
    words = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert words[:6] == ["net & co", "10 frames", "conv<1>", "3x8x8", "mean", "10x32x32"]


def test_only_growth_is_shown():
    layers = [(str(place), field(min(10, 1 + place // 2), 8)) for place in range(30)]
    shown = growth(layers)
    assert len(shown) == 9
    assert shown[0][0] == "0"
    assert shown[-1][0] == "18"  # the first that sees all ten frames
