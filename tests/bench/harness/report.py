"""Turns measurements into a table: medians, spread, and the ratios that hold from machine to machine."""

import json
import statistics

from harness.rows import DERIVED, ROWS

# What Boost.Fiber, which both have, took on the machine of the goals.
REFERENCE = {"yield-2": 50, "yield-100": 25, "rendezvous": 233, "mutex-free": 20.3, "mutex-8": 153, "condition": 293}


def slowness(measured):
    """How much slower this machine is, now, than the one that the goals were set on."""
    here = {row: [m["cpu"] for m in measured.get(row, {}).get("Boost.Fiber", [])] for row in REFERENCE}
    found = [statistics.median(values) / REFERENCE[row] for row, values in here.items() if values]
    return statistics.geometric_mean(found) if found else 1.0


def figures(measured, row, peer):
    """All figures of one row and peer, in the row's unit."""
    key = DERIVED.get(row.name, row.name)
    found = [m[row.figure] * row.scale for m in measured.get(key, {}).get(peer, []) if row.figure in m]
    return found


def summary(values):
    median = statistics.median(values)
    spread = (max(values) - min(values)) / median if median else 0.0
    return {"median": median, "min": min(values), "max": max(values), "spread": spread, "runs": len(values)}


def best(entries, row):
    pick = max if row.higher_is_better else min
    return pick(entries, key=lambda entry: entry[1]["median"]) if entries else None


def summarise(measured, peers):
    """A dictionary for each row: every peer's summary, the best peer, the best limit, zsync's ratios."""
    kinds = {peer.name: peer.kind for peer in peers}
    slower = slowness(measured)
    rows = []
    for row in ROWS:
        entries = {name: summary(values) for name in kinds if (values := figures(measured, row, name))}
        if not entries:
            continue
        of = {kind: [(n, s) for n, s in entries.items() if kinds[n] == kind] for kind in ("peer", "limit", "zsync")}
        line = {"row": row.name, "title": row.title, "unit": row.unit, "peers": entries, "goal": row.goal,
                "goal_ratio": row.goal_ratio, "higher_is_better": row.higher_is_better}
        line["best_peer"] = (best(of["peer"], row) or [None])[0]
        line["best_limit"] = (best(of["limit"], row) or [None])[0]
        line["goal_here"] = goal_here(row, line, slower)
        line["zsync"] = {n: ratios(s["median"], line) for n, s in of["zsync"]}
        rows.append(line)
    return rows


def goal_here(row, line, slower):
    if row.goal_ratio and line["best_limit"]:
        return row.goal_ratio * line["peers"][line["best_limit"]]["median"]
    if row.goal is None:
        return None
    return row.goal * (slower if row.machine_bound else 1.0)


def ratios(median, line):
    def to(name):
        base = line["peers"][name]["median"] if name else 0
        return median / base if base else None
    goal = line["goal_here"]
    met = None if goal is None else (median >= goal if line["higher_is_better"] else median <= goal)
    return {"to_best_peer": to(line["best_peer"]), "to_limit": to(line["best_limit"]), "goal_met": met}


def number(value):
    if value is None:
        return "–"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def times(value):
    return "–" if value is None else f"{value:.2f}×"


def markdown(rows, peers, head):
    names = [peer.name for peer in peers]
    out = ["# Comparison", "", head, ""]
    for title, network in (("CPU", False), ("Network", True)):
        part = [line for line in rows if _network(line) == network]
        if part:
            out += [f"## {title}", "", *_table(part, names), ""]
    out += ["Medians, ± half the distance from the least to the greatest of all runs. *Goal*: that of the reference",
            "machine, multiplied by how much slower Boost.Fiber is here, or a ratio to the limit of this run.", ""]
    return "\n".join(out)


def _network(line):
    return next(row.network for row in ROWS if row.name == line["row"])


def _table(lines, names):
    shown = [name for name in names if any(name in line["peers"] for line in lines)]
    yield "| row | " + " | ".join(shown) + " | goal | zsync to best peer | to limit | met |"
    yield "|---" * (len(shown) + 5) + "|"
    for line in lines:
        cells = []
        for name in shown:
            entry = line["peers"].get(name)
            text = "–" if entry is None else f"{number(entry['median'])} ±{entry['spread'] * 50:.0f}%"
            cells.append(f"**{text}**" if name == line["best_peer"] else text)
        each = line["zsync"].values()
        yield (f"| {line['title']} ({line['unit']}) | " + " | ".join(cells) + f" | {number(line['goal_here'])} | "
               + (" / ".join(times(z["to_best_peer"]) for z in each) or "–") + " | "
               + (" / ".join(times(z["to_limit"]) for z in each) or "–") + " | "
               + (" / ".join({True: "yes", False: "NO", None: "–"}[z["goal_met"]] for z in each) or "–") + " |")


def write(directory, measured, peers, versions, note):
    directory.mkdir(parents=True, exist_ok=True)
    rows = summarise(measured, peers)
    machine = ", ".join(f"{name} {value}" for name, value in versions.items())
    head = f"{note}\n\nMachine and versions: {machine}."
    (directory / "results.json").write_text(
        json.dumps({"versions": versions, "note": note, "rows": rows, "measurements": measured}, indent=1))
    (directory / "results.md").write_text(markdown(rows, peers, head))
    return rows
