"""Pictures of the table, as SVG, where matplotlib is installed."""

from harness.rows import ROWS


def draw(directory, table):
    try:
        import matplotlib
    except ImportError:
        return []
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "zsync"
    network = {row.name for row in ROWS if row.network}
    made = []
    for name, wanted in (("cpu.svg", False), ("network.svg", True)):
        lines = [line for line in table if (line["row"] in network) == wanted and len(line["peers"]) > 1]
        if lines:
            _bars(directory / name, lines)
            made.append(name)
    return made


def _bars(path, lines):
    """Small multiples: for each row, what every peer takes, the shortest on top."""
    from matplotlib import pyplot
    columns = 3
    deep = -(-len(lines) // columns)
    figure, axes = pyplot.subplots(deep, columns, figsize=(15, 2.6 * deep), squeeze=False)
    for axis in axes.flat[len(lines):]:
        axis.axis("off")
    for axis, line in zip(axes.flat, lines):
        order = sorted(line["peers"].items(), key=lambda entry: entry[1]["median"], reverse=True)
        names = [name for name, _ in order]
        values = [entry["median"] for _, entry in order]
        errors = [[entry["median"] - entry["min"] for _, entry in order],
                  [entry["max"] - entry["median"] for _, entry in order]]
        axis.barh(names, values, xerr=errors, color=[_colour(name, line) for name in names], ecolor="#777777")
        if max(values) > 20 * min(value for value in values if value > 0):
            axis.set_xscale("log")
        if line["goal_here"]:
            axis.axvline(line["goal_here"], color="#cc3311", linewidth=1)
        axis.set_title(f"{line['title']} ({line['unit']})", fontsize=9)
        axis.tick_params(labelsize=8)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _colour(name, line):
    if name in line["zsync"]:
        return "#0077bb"
    return "#bbbbbb" if "limit" in name or "raw" in name else "#ee7733"
