"""Writes the tables and plots of the pages from the result files.

    python3 benches/page.py docs/dev/performance docs/performance.md

The tables of every workload and of the instructions go to docs/dev/performance/workloads.md.
The script replaces the part between the two marks and leaves out tables whose file is missing. With
--check it writes nothing, and the exit code is 1 if a page differs from the files.
"""

import json
import sys
import textwrap
from pathlib import Path

from plots import latency_plot, growth_plot

BEGIN = "<!-- scripts/bench writes from here -->"
END = "<!-- to here -->"
GOAL = {"signet unstored": 1.8, "signet stored": 2.0}


def table(head, rows):
    """A table; columns whose name ends in a bar `|` stand to the left."""
    names = [name.rstrip("|") for name in head]
    marks = ["---" if name.endswith("|") else "---:" for name in head]
    lines = ["| " + " | ".join(names) + " |", "|" + "|".join(marks) + "|"]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def short(number, digits=3):
    """Three digits that count, thousands apart."""
    if number is None:
        return "—"
    if number == 0:
        return "0"
    whole = abs(number) >= 10 ** (digits - 1)
    return f"{number:,.0f}" if whole else f"{number:.{digits}g}"


def mebibytes(kibibytes):
    return f"{kibibytes / 1024:.0f}"


def at(latencies, name):
    """A percentile, if there was anything to take it of."""
    return short(latencies[name]) if latencies["count"] else "—"


def void(row):
    return " (void)" if row.get("answers", row).get("void") else ""


def machine(result):
    """One sentence; what a file does not know is left out."""
    facts = result["machine"]
    said = [f"{facts['cores']} cores, {facts['processor']}"]
    said += [f"{name} {facts[key]}".strip() for name, key in FACTS if key in facts]
    if "stolen_percent" in result:
        said.append(f"stolen {result['stolen_percent']} %")
    return ", ".join(said) + "."


FACTS = [("", "kernel"), ("", "file_system"), ("commit", "commit"), ("", "date"), ("load before", "load_before")]


def comparison(result):
    bare = result["bare"]
    first = "bare: one EC P-256 key, one signature"
    rows = [[first, "1", "", "1", f"{bare['us']:.1f}", spread(bare["spread"]), "", ""]]
    for row in result["comparison"]:
        goal = GOAL.get(row["name"])
        rows.append(
            [
                row["label"] + void(row),
                f"**{row['ratio']:.2f}**",
                f"≤ {goal}" if goal else "",
                f"{row['spread'][0] / bare['spread'][0]:.2f}",
                f"{row['processor_us']:.1f}",
                spread(row["spread"]),
                short(row["a_processor_second"], 4),
                short(row["a_second"], 4),
            ]
        )
    head = ["EC P-256 `issue`, 64 connections|", "÷ bare", "goal", "quietest", "processor, µs", "spread"]
    head += ["a processor second", "a second"]
    return [
        "## Side by side",
        machine(result)
        + f" {result['rounds']} rounds, each second one in reverse order, {result['seconds']:g} s each; the median round and the spread;"
        " quietest: the minimum of a row over the minimum of the bare work.",
        table(head, rows),
    ]


def middle(three):
    median, least, greatest = three
    return f"{median:.1f} ({least:.1f}–{greatest:.1f})"


def spread(pair):
    return f"{pair[0]:.1f}–{pair[1]:.1f}"


def syncs(counts):
    names = {"signet": "Signet", "raft": "OpenBao on raft"}
    said = [
        f"{names[name]} synced {count['syncs']:,} times for {count['certificates']:,} certificates"
        for name, count in counts.items()
    ]
    return "Counted with strace in a separate run: " + "; ".join(said) + "." if said else ""


def workloads(result):
    rows = []
    for row in result["workloads"]:
        used = row["used"]
        rows.append(
            [
                row["id"],
                row["what"] + void(row),
                row["connections"],
                short(row["a_second"], 4),
                short(used["a_processor_second"], 4),
                f"{used['user_us']:.0f} + {used['system_us']:.0f}",
                short(used["switches"]),
                short(used["written_bytes"], 4),
                mebibytes(used["peak_kib"]),
            ]
        )
    head = ["|", "closed loop|", "connections", "a second", "a processor second", "user + system, µs", "switches", "bytes written", "peak, MiB"]
    bursts = result["bursts"]
    return [
        "## Workloads",
        "Each row is a new server; switches and bytes written to the disk are those of one request.",
        table(head, rows),
        f"64 requests for an RSA-2048 key at the same instant, {bursts['bursts']} times: half of them are answered "
        f"after {middle(bursts['half_ms'])} ms, the last one after {middle(bursts['last_ms'])} ms "
        "(the median burst, the best and the worst).",
        *(
            f"{row['id']}, {row['what']}: **{row['ratio']:.2f}** times the lower bound, {row['bare_of']}, "
            f"{row['bare_us']:.1f} µs (goal {row['goal']})."
            for row in result["workloads"]
            if "ratio" in row
        ),
        syncs(result.get("syncs", {})),
    ]


def latency(result):
    rows = []
    for row in result["open"]:
        times = row["latency_ms"]
        rows.append(
            [row["id"], row["what"] + void(row), short(row["due_a_second"], 4)]
            + [short(times[name]) for name in ("p50", "p90", "p99", "p99.9", "max")]
            + [f"{times['count']:,}"]
        )
    head = ["|", "open loop|", "due a second", "p50, ms", "p90", "p99", "p99.9", "max", "requests"]
    return [
        "## Latency",
        "Requests are due at fixed instants, and latency counts from there. The rows `sync` show the same file "
        "system under the same arrivals with nothing but an append and an `fdatasync`.",
        table(head, rows),
    ]


def sweep(result):
    def seconds(value):
        return "—" if not value else short(value["seconds"] * 1000)

    rows = [
        [
            f"{row['stored']:,}",
            short(row["start_to_first_issue_seconds"] * 1000),
            f"{row['issue']['used']['processor_us']:.0f}",
            seconds(row["list"]),
            seconds(row["list_page"]),
            short(row["table_bytes_each"]),
            mebibytes(row["resident_idle_kib"]),
            mebibytes(row["peak_kib"]),
            seconds(row["crl_build"]),
            short(row["revoke_seconds"] * 1000),
            mebibytes(row["revoked_peak_kib"]),
        ]
        for row in result["rows"]
    ]
    head = ["stored", "start to first issue, ms", "an issue, µs", "LIST, ms", "page of 100, ms", "bytes each", "idle, MiB", "peak, MiB", "CRL with all, ms", "revoke one, ms", "peak then, MiB"]
    return [
        "## Cost against number stored",
        machine(result)
        + " Bytes are those of the table files after a flush and three starts: compaction cannot be asked for."
        " The last three columns are of a second store, in which every certificate is revoked.",
        table(head, rows),
        "![Latency by percentile](dev/performance/latency.svg) ![Cost against number stored](dev/performance/stored.svg)",
    ]


def hostile(result):
    parts = ["## Beside hostile clients", machine(result) + f" {result['connections']:,} hostile connections."]
    kinds = "slow headers, answers that are not read, deep and huge JSON"
    if "http2" not in result:
        return [*parts[:1], parts[1][:-1] + f" ({kinds}), {met(result)}.", *beside(result, result)]
    parts += [f"Over HTTP/1.1 ({kinds}, many small objects): {met(result)}.", *beside(result, result)]
    http2 = result["http2"]
    kinds = "answers that are never let go, bodies that are refused, streams that are reset, many small objects"
    return [*parts, f"Over HTTP/2 ({kinds}): {met(http2)}.", *beside(http2, result)]


def met(part):
    return f"{part['met'].get('open_at_most', 0):,} open at once, {part['met'].get('cut', 0):,} cut"


def beside(part, result):
    def p99(row):
        return at(row["latency_ms"], "p99")

    def errors(row):
        return sum(row["answers"]["errors"].values())

    calm, coming, under = part["without"], part["coming"], part["with"]
    head = ["honest clients|", "without, p99 in ms", "while they come", "once they are there", "failed with"]
    rows = [
        [
            "200 issues a second, kept connections",
            *(p99(row["kept"]) for row in (calm, coming, under)),
            errors(coming["kept"]) + errors(under["kept"]),
        ],
        [
            "health check, a connection each",
            *(p99(row["new"]) for row in (calm, coming, under)),
            coming["new"]["failed"] + under["new"]["failed"],
        ],
    ]
    stopped = " The attack was stopped: it took too much memory." if part["given_up"] else ""
    return [
        table(head, rows),
        f"Memory at its peak: {mebibytes(part['peak_kib'])} MiB; the mark is "
        f"{mebibytes(result['memory_mark_kib'])} MiB with 10,000 connections.{stopped}",
    ]


def overload(result):
    rows = [
        [
            row["name"] + void(row["under"]),
            short(row["peak"]["a_second"], 4),
            short(row["under"]["a_second"], 4),
            f"{row['goodput_of_peak'] * 100:.0f} %",
            f"{row['under']['retry_after']:,}",
            f"{at(row['calm']['health'], 'p99')} → {at(row['probed']['health'], 'p99')}",
            f"{at(row['calm']['revoke'], 'p99')} → {at(row['probed']['revoke'], 'p99')}",
            row["probed"]["failed"],
        ]
        for row in result["rows"]
    ]
    head = ["`issue`|", "peak, a second", "goodput", "of the peak", "503 with Retry-After", "health p99, ms", "revoke p99, ms", "of these failed"]
    return [
        "## Ten times the peak rate",
        machine(result) + f" At most {result['outstanding']:,} requests in progress; calm → under load.",
        table(head, rows),
    ]


def instructions(result):
    rows = [[step, f"{result['steps'][step]:,}"] for step in result["order"]]
    return [
        "## Instructions",
        f"By callgrind, with Ed25519 keys, whose signatures need no randomness; {result['compiler']}, commit {result['commit']}. "
        "`scripts/bench --instructions` compares with these.",
        table(["step|", "instructions"], rows),
    ]


PAGE = [
    ("standard", [comparison, latency]),
    ("sweep", [sweep]),
    ("overload", [overload]),
    ("hostile", [hostile]),
]
WORKLOADS = [("standard", [workloads]), ("instructions", [instructions])]


def filled(part):
    """A paragraph in lines of at most 120 columns; tables, headings and pictures as they are."""
    return part if part[:1] in "|#!" else textwrap.fill(part, 120, break_long_words=False, break_on_hyphens=False)


def tables(results, sections):
    """The tables of the runs whose file exists."""
    found = [part for name, run in sections if name in results for section in run for part in section(results[name])]
    return "\n\n".join(filled(part) for part in found if part)


def main(folder, page, check):
    results = {file.stem: json.loads(file.read_text()) for file in Path(folder).glob("*.json")}
    outputs = {}
    if "standard" in results:
        outputs[Path(folder) / "latency.svg"] = latency_plot(results["standard"]["open"])
    if "sweep" in results:
        outputs[Path(folder) / "stored.svg"] = growth_plot(results["sweep"]["rows"])
    before = Path(page).read_text()
    head, rest = before.split(BEGIN)
    _, tail = rest.split(END)
    body = tables(results, PAGE)
    workloads_page = f"# Performance by workload and by step\n\nThe summary: `{page}`. `scripts/bench --page` writes this page.\n\n"
    outputs[Path(folder) / "workloads.md"] = workloads_page + tables(results, WORKLOADS) + "\n"
    outputs[Path(page)] = f"{head}{BEGIN}\n\n{body}\n\n{END}{tail}"
    stale = [file for file, text in outputs.items() if not file.exists() or file.read_text() != text]
    if check:
        for file in stale:
            print(f"{file} differs from the results; to write it again: scripts/bench --page")
        return 1 if stale else 0
    for file in stale:
        file.write_text(outputs[file])
        print(f"written: {file}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--check"]
    sys.exit(main(words[0], words[1], "--check" in sys.argv))
