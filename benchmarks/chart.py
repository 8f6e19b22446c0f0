"""Charts as SVG, readable on light and dark pages: horizontal bars, and small curves."""

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

WIDTH, LABEL, BAR, GAP = 760, 210, 13, 12
COLOURS = ("#3b6ea8", "#9bb8d8")
LONGEST = WIDTH - LABEL - 70
PANEL_WIDTH, PANEL_HEIGHT, PANELS_A_ROW = 370, 190, 2
MARGIN_X, MARGIN_TOP, MARGIN_BOTTOM = 38, 46, 34

Points = Sequence[tuple[str, float]]


def bars(title: str, cases: Sequence[str], values: Mapping[str, Sequence[float]], cut_at: float = 40.0) -> str:
    """A group for each system with a bar for each case. What is over `cut_at` is cut there."""
    shown = {name: found for name, found in values.items() if any(found)}
    most = min(cut_at, max((value for found in shown.values() for value in found), default=1.0)) or 1.0
    step = len(cases) * BAR + GAP
    parts = [_text(10, 20, f"{title} (less is better)", size=14)]
    for index, case in enumerate(cases):
        at = LABEL + index * 130
        parts.append(f'<rect x="{at}" y="30" width="10" height="10" fill="{COLOURS[index % 2]}"/>')
        parts.append(_text(at + 15, 39, f"{case} subscribers"))
    for row, (name, found) in enumerate(shown.items()):
        top = 55 + row * step
        parts.append(_text(LABEL - 8, top + step / 2 - 2, name, anchor="end"))
        for index, value in enumerate(found):
            if not value:
                continue  # not measured
            y = top + index * BAR
            length = min(value, most) / most * LONGEST
            size = f'x="{LABEL}" y="{y}" width="{length:.1f}" height="{BAR - 2}"'
            parts.append(f'<rect {size} fill="{COLOURS[index % 2]}"/>')
            parts.append(_text(LABEL + length + 5, y + BAR - 3, f"{value:.1f}"))
    return _svg(60 + step * len(shown), parts)


def curves(panels: Mapping[str, Points]) -> str:
    """A panel for each title: its points from left to right at even distances, upwards from zero."""
    parts = []
    for index, (title, points) in enumerate(panels.items()):
        left = index % PANELS_A_ROW * (WIDTH - PANEL_WIDTH)
        parts += _panel(left, index // PANELS_A_ROW * PANEL_HEIGHT, title, points)
    return _svg(-(-len(panels) // PANELS_A_ROW) * PANEL_HEIGHT, parts)


def _panel(left: float, top: float, title: str, points: Points) -> list[str]:
    most = max((value for _, value in points), default=0.0) * 1.15 or 1.0
    height = PANEL_HEIGHT - MARGIN_TOP - MARGIN_BOTTOM
    ground = top + MARGIN_TOP + height
    step = (PANEL_WIDTH - 2 * MARGIN_X) / max(1, len(points) - 1)
    places = [
        (left + MARGIN_X + index * step, ground - value / most * height) for index, (_, value) in enumerate(points)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts = [
        _text(left + 10, top + 20, title, size=13),
        f'<path d="M{left + 20} {ground}H{left + PANEL_WIDTH - 10}" stroke="#bbb" fill="none"/>',
        f'<polyline points="{line}" stroke="{COLOURS[0]}" stroke-width="2" fill="none"/>',
    ]
    for (x, y), (name, value) in zip(places, points, strict=True):
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{COLOURS[0]}"/>')
        parts.append(_text(x, y - 7, f"{value:.0f}" if value >= 100 else f"{value:.1f}", anchor="middle", size=11))
        parts.append(_text(x, ground + 15, name, anchor="middle", size=11))
    return parts


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 12) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
    return f'<text {place} fill="#222">{escape(text)}</text>'


def _svg(height: float, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" font-family="sans-serif">'
    ground = f'<rect width="{WIDTH}" height="{height:.0f}" fill="#ffffff"/>'
    return "\n".join([head, ground, *parts, "</svg>"]) + "\n"
