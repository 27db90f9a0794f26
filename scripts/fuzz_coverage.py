"""Which lines of elegante the reading of damaged files runs through, as valgrind sees it.

    python scripts/fuzz_coverage.py [MUTATIONS]

Builds the test `fuzz`, runs it under callgrind, which counts nothing but what happens inside the functions that
read (so that neither making the files nor damaging them is counted), and compares the lines that were run with all
lines that the program has code for, in those functions of ours that reading enters. valgrind, objdump and nm are
needed; 3,000 mutations take some minutes. Prints a row for each file of ours, and the lines that were not run.
"""

import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
# The closures that read, and nothing else: crates/experiment/tests/fuzz/corpus.rs.
READING = "fuzz::corpus::Sample::reader::{{closure}}"
OURS = re.compile(r"(?:^|/)(crates/(?:env|experiment|kernels|policy|trainer)/src/\S+\.rs)$")


def build() -> str:
    command = "cargo test --workspace --test fuzz --no-run --message-format=json".split()
    told = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = (json.loads(line) for line in told.splitlines())
    return [it["executable"] for it in messages if it.get("target", {}).get("name") == "fuzz"][-1]


def executed(program: str, mutations: str) -> tuple[set[str], dict[str, set[int]]]:
    """The functions that reading entered, and the lines that it ran, by file."""
    with tempfile.TemporaryDirectory() as place:
        counts = os.path.join(place, "counts")
        options = ["--compress-strings=no", "--compress-pos=no", f"--toggle-collect={READING}"]
        subprocess.run(
            ["valgrind", "--tool=callgrind", *options, f"--callgrind-out-file={counts}", program]
            + ["--nocapture", "damaged"],
            cwd=ROOT / "crates/experiment",
            env={**os.environ, "ELEGANTE_MUTATIONS": mutations},
            check=True,
        )
        return lines_of(counts)


def lines_of(counts: str) -> tuple[set[str], dict[str, set[int]]]:
    functions, lines, file = set(), collections.defaultdict(set), None
    with open(counts, encoding="utf-8", errors="replace") as text:
        for line in text:
            if match := re.match(r"(?:fl|fi|fe)=(.*)", line):
                found = OURS.search(match[1].strip())
                file = found and found[1]
            elif file and (match := re.match(r"(\d+) \d+", line)):
                lines[file].add(int(match[1]))
            elif match := re.match(r"fn=(.*?)(?:'\d+)?$", line):
                functions.add(match[1])
    return functions, lines


def compiled(program: str) -> dict[tuple[str, str], set[int]]:
    """The lines that there is code for, by the function that has them and their file."""
    symbols = subprocess.run(["nm", "-C", "--defined-only", "-n", program], stdout=subprocess.PIPE, text=True)
    starts = []
    for line in symbols.stdout.splitlines():
        address, kind, name = line.split(" ", 2)
        if kind in "tT":
            starts.append((int(address, 16), name))
    table = subprocess.run(
        ["objdump", "--dwarf=decodedline", program], stdout=subprocess.PIPE, text=True, errors="replace"
    )
    rows, file = [], None
    for line in table.stdout.splitlines():
        if line.endswith(".rs:"):
            found = OURS.search(line[:-1])
            file = found and found[1]
        elif file and (match := re.match(r"(\S+\.rs) +(\d+) +0x([0-9a-f]+)", line)):
            address, number = int(match[3], 16), int(match[2])
            # What the linker left out has addresses before everything, line 0 is the compiler's own.
            if file.endswith(match[1]) and address >= starts[0][0] and number:
                rows.append((address, file, number))
    rows.sort()
    lines, at = collections.defaultdict(set), 0
    for address, file, line in rows:
        while at + 1 < len(starts) and starts[at + 1][0] <= address:
            at += 1
        lines[starts[at][1], file].add(line)
    return lines


def main() -> None:
    mutations = sys.argv[1] if len(sys.argv) > 1 else "3000"
    program = build()
    functions, run = executed(program, mutations)
    entered = collections.defaultdict(set)
    for (function, file), lines in compiled(program).items():
        # A name may stand for several functions: of those that were entered some line was run.
        if function in functions and lines & run[file]:
            entered[file] |= lines
    print(f"{mutations} mutations\n\n| file | lines run | of | % | not run |\n|-|-|-|-|-|")
    totals = [0, 0]
    for file in sorted(entered):
        lines, hit = entered[file], entered[file] & run[file]
        totals[0] += len(hit)
        totals[1] += len(lines)
        missing = " ".join(map(str, sorted(lines - hit)))
        print(f"| {file} | {len(hit)} | {len(lines)} | {100 * len(hit) / len(lines):.0f} | {missing} |")
    print(f"| all | {totals[0]} | {totals[1]} | {100 * totals[0] / totals[1]:.0f} | |")


if __name__ == "__main__":
    main()
