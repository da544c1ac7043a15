"""Two plots as SVG, without a library: lines on logarithmic axes, named at their ends."""

import math

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 64, 230, 44, 48
# Colours that differ under all kinds of colour blindness.
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000"]
TEXT = 'font-family="sans-serif" font-size="12" fill="#333"'


def plot(title, lines, across, up, across_name, up_name):
    """`lines` are (name, points); `across` and `up` are lists of (value, label) for the grid."""
    x_of = scale([value for value, _ in across], LEFT, WIDTH - RIGHT)
    y_of = scale([value for value, _ in up], HEIGHT - BOTTOM, TOP)
    svg = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="22" {TEXT} font-weight="bold">{escape(title)}</text>',
    ]
    for value, label in up:
        y = y_of(value)
        svg.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        svg.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" {TEXT}>{label}</text>')
    for value, label in across:
        x = x_of(value)
        svg.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM + 4}" stroke="#333"/>')
        svg.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle" {TEXT}>{label}</text>')
    svg.append(f'<text x="{LEFT}" y="38" {TEXT}>{escape(up_name)}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    svg.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle" {TEXT}>{escape(across_name)}</text>')
    svg += drawn(lines, x_of, y_of)
    return "\n".join(svg + ["</svg>", ""])


def drawn(lines, x_of, y_of):
    svg, ends = [], []
    for (name, points), colour in zip(lines, COLOURS):
        path = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in points)
        svg.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        if len(points) <= 8:
            svg += [f'<circle cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="3" fill="{colour}"/>' for x, y in points]
        ends.append((y_of(points[-1][1]), name, colour))
    # Names stand at the ends of their lines, pushed apart where they would overlap.
    lowest = TOP - 16
    for y, name, colour in sorted(ends):
        lowest = max(y, lowest + 16)
        svg.append(
            f'<text x="{WIDTH - RIGHT + 8}" y="{lowest + 4:.1f}" font-family="sans-serif" font-size="12" fill="{colour}">{escape(name)}</text>'
        )
    return svg


def scale(values, start, end):
    low, high = math.log10(min(values)), math.log10(max(values))
    return lambda value: start + (math.log10(max(value, 10**low)) - low) / (high - low) * (end - start)


def decades(values):
    """Powers of ten around all values, with their labels."""
    values = [value for value in values if value > 0]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return [(10.0**power, f"{10.0**power:,.10g}") for power in range(low, max(high, low + 1) + 1)]


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def latency_plot(rows):
    """Latency against the share of requests that are slower, as far as there were enough of them."""
    lines = []
    for row in rows:
        times = row["latency_ms"]
        least = 10 / max(times["count"], 11)
        points = [
            (100 / (100 - percent), value)
            for percent, value in times["curve"]
            if percent < 100 and (100 - percent) / 100 >= least and value > 0
        ]
        if points and row["id"] in ("W1", "W2", "sync"):
            what = {"W1": "not stored", "W2": "stored", "sync": "bare fdatasync"}[row["id"]]
            peer = "OpenBao, " if row["what"].startswith("OpenBao") else ""
            lines.append((f"{peer}{what}, {row['due_a_second']:,.0f} a second", points))
    across = [(1, "0 %"), (2, "50 %"), (10, "90 %"), (100, "99 %"), (1000, "99.9 %"), (10000, "99.99 %")]
    up = decades([value for _, points in lines for _, value in points] or [1])
    return plot("Latency by percentile, open loop", lines, across, up, "share of requests that are faster", "milliseconds")


def growth_plot(rows):
    """What grows with the number of stored or revoked certificates, and what does not."""
    kinds = [
        ("an issue (processor time)", lambda row: row["issue"]["used"]["processor_us"] / 1000),
        ("start to first issue", lambda row: row["start_to_first_issue_seconds"] * 1000),
        ("LIST of all", lambda row: row["list"]["seconds"] * 1000),
        ("CRL that names all", lambda row: row["crl_build"]["seconds"] * 1000),
        ("revoke one more", lambda row: row["revoke_seconds"] * 1000),
    ]
    rows = sorted(rows, key=lambda row: row["stored"])
    lines = [(name, [(row["stored"], of(row)) for row in rows]) for name, of in kinds]
    across = decades([row["stored"] for row in rows])
    up = decades([value for _, points in lines for _, value in points])
    return plot("Cost against number stored", lines, across, up, "certificates stored, or revoked", "milliseconds")
