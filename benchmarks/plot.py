"""The ratios as bars, in SVG: written by hand, so that it is small and always the same."""

from collections.abc import Mapping, Sequence
from html import escape

Ratios = Mapping[str, Mapping[str, float]]

WIDTH, HEIGHT = 1100, 320  # of the whole, and of the bars
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 92, 50
BAR_GAP, GROUP_GAP, WIDEST, STEP = 1, 16, 30.0, 0.25
LETTER = 7.4  # its width in the legend
NARROW = 19  # no room for the figure across
REFERENCE, MINE = "L0", "service"
LEGENDS = {
    "L1": "L1: driver, FastAPI, pydantic",
    "common": "common style",
    MINE: "this template",
    "0.3.0": "0.3.0",
    "0.3.0-updated": "0.3.0, updated",
}
COLORS = {"L1": "#c5ccd3", "common": "#e0915c", MINE: "#1769aa"}
OTHERS = ("#8fbbdc", "#5a97c5", "#8d8372", "#b3a890", "#6f7a63", "#a0a98c")
STYLE = """
text { font: 13px system-ui, 'DejaVu Sans', sans-serif; fill: #24292f }
.title { font-size: 17px; font-weight: 600 }
.small { font-size: 11px }
.value { font-size: 10px }
.bold { font-weight: 700 }
.line { stroke: #d8dee4 }
.strong { stroke: #24292f }
"""


def draw(ratios: Ratios, titles: Mapping[str, str], title: str) -> str:
    """`titles` of the workloads are a few words each."""
    found = dict.fromkeys(name for each in ratios.values() for name in each)
    names = [name for name in found if name != REFERENCE]
    top = scale(ratios)
    height = TOP + HEIGHT + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}">',
        f"<style>{STYLE}</style>",
        rectangle(0, 0, WIDTH, height, "#ffffff"),
        text(LEFT, 26, title, "title"),
        *legend(names),
        *axis(top),
        *(part for place, work in enumerate(ratios) for part in group(ratios, place, names, top)),
        *labels(ratios, titles),
        "</svg>\n",
    ]
    return "\n".join(parts)


def scale(ratios: Ratios) -> float:
    """The ratio at the upper edge."""
    return max([1.0, *(value for found in ratios.values() for value in found.values())]) * 1.06


def text(x: float, y: float, content: str, kind: str = "", anchor: str = "start") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} class="{kind}">{escape(content)}</text>'


def rectangle(x: float, y: float, width: float, height: float, color: str) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect {place} fill="{color}"/>'


def color_of(name: str, names: Sequence[str]) -> str:
    others = [each for each in names if each not in COLORS]
    return COLORS.get(name) or OTHERS[others.index(name) % len(OTHERS)]


def legend(names: Sequence[str]) -> list[str]:
    parts, x, y = [], float(LEFT), 42
    for name in names:
        shown = LEGENDS.get(name, name)
        width = 17 + LETTER * len(shown) + 16
        if x + width > WIDTH:
            x, y = float(LEFT), y + 20
        parts.append(rectangle(x, y, 12, 12, color_of(name, names)))
        parts.append(text(x + 17, y + 11, shown, "bold" if name == MINE else ""))
        x += width
    return parts


def axis(top: float) -> list[str]:
    parts = []
    for step in range(int(top / STEP) + 1):
        value = step * STEP
        y = TOP + HEIGHT * (1 - value / top)
        kind = "strong" if value in {0, 1} else "line"
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" class="{kind}"/>')
        parts.append(text(LEFT - 6, y + 4, f"{value:g}", "small", "end"))
        if value == 1:
            parts.append(text(LEFT + 4, y - 5, "1 = L0, the driver alone", "small"))
    return parts


def group(ratios: Ratios, place: int, names: Sequence[str], top: float) -> list[str]:
    """The bars of one workload."""
    found = list(ratios.values())[place]
    shown = [name for name in names if name in found]
    room = (WIDTH - LEFT - RIGHT) / len(ratios)
    width = min(WIDEST, (room - GROUP_GAP) / len(names) - BAR_GAP)
    x = LEFT + room * (place + 0.5) - (width + BAR_GAP) * len(shown) / 2
    parts = []
    for name in shown:
        height = HEIGHT * found[name] / top
        y = TOP + HEIGHT - height
        parts.append(rectangle(x, y, width, height, color_of(name, names)))
        parts.append(figure(x + width / 2, y, width, found[name], bold=name == MINE))
        x += width + BAR_GAP
    return parts


def figure(x: float, y: float, width: float, value: float, *, bold: bool) -> str:
    content = f"{value:.2f}".removeprefix("0")
    kind = "value bold" if bold else "value"
    if width >= NARROW:
        return text(x, y - 4, content, kind, "middle")
    turned = f'transform="translate({x + 3.5:.1f} {y - 4:.1f}) rotate(-90)"'
    return f'<text {turned} class="{kind}">{content}</text>'


def labels(ratios: Ratios, titles: Mapping[str, str]) -> list[str]:
    room = (WIDTH - LEFT - RIGHT) / max(1, len(ratios))
    parts = []
    for place, work in enumerate(ratios):
        x = LEFT + room * (place + 0.5)
        parts.append(text(x, TOP + HEIGHT + 18, work, "bold", "middle"))
        parts.append(text(x, TOP + HEIGHT + 34, titles[work], "small", "middle"))
    return parts
