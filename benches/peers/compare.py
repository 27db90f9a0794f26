"""Trains the same things with elegante and with its peers, in turns, and prints how they compare.

`run.sh` makes the virtual environments and calls this; README.md says what is measured.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from workloads import NAMED, PEERS, WORKLOADS

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# The virtual environment of each peer, its script and what this is given, and the algorithms that it has.
SCRIPTS = {
    "sb3": ("torch", ["sb3.py", "stable_baselines3"], {"ppo", "a2c", "dqn", "sac"}),
    "sbx": ("torch", ["sb3.py", "sbx"], {"dqn", "sac"}),
    "torch": ("torch", ["reinforce.py"], {"reinforce"}),
    "jax": ("jax", ["ppo_jax.py"], {"ppo"}),
    "jax-cached": ("jax", ["ppo_jax.py"], {"ppo"}),
}
# Settings that aren't in the algorithm's own table of elegante's configuration.
PLACES = {key: "" for key in ("steps", "lanes", "eval_episodes")} | {
    key: "network." for key in ("hidden", "activation", "init")
}


def arguments():
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workload", nargs="*", help=f"of {', '.join(WORKLOADS)}; all but {', '.join(NAMED)} if none is named")
    parser.add_argument("--rounds", type=int, default=5, help="times that each is run [5]")
    parser.add_argument("--cores", type=int, default=1, help="cores that a run may use, and its threads [1]")
    parser.add_argument("--seed", type=int, default=1, help="of the first round; each round has the next one [1]")
    parser.add_argument("--peers", help=f"who runs, with commas between: elegante,{','.join(SCRIPTS)}")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting, for everyone")
    parser.add_argument("--elegante", default=target / "release/elegante", help="the binary")
    parser.add_argument("--venvs", type=pathlib.Path, default=ROOT / "target/peers", help="where run.sh put them")
    parser.add_argument("--json", type=pathlib.Path, help="append every run to this file, one a line")
    parser.add_argument("--needs", action="store_true", help="run nothing; print what this takes, for run.sh to make")
    chosen = parser.parse_args()
    chosen.workload = chosen.workload or [name for name in WORKLOADS if name not in NAMED]
    if unknown := set(chosen.workload) - set(WORKLOADS):
        parser.error(f"no such workload: {', '.join(sorted(unknown))}")
    if chosen.rounds < 1 or chosen.cores < 1:
        parser.error("at least one round and one core")
    chosen.peers = chosen.peers and chosen.peers.split(",")
    if unknown := set(chosen.peers or []) - {"elegante", *SCRIPTS}:
        parser.error(f"no such peer: {', '.join(sorted(unknown))}")
    for workload in chosen.workload:
        if not peers_of(workload, chosen):
            parser.error(f"none of {', '.join(chosen.peers)} can do {workload}")
    try:
        chosen.settings = {workload: settings_of(workload, chosen.set) for workload in chosen.workload}
    except ValueError as error:
        parser.error(str(error))
    return chosen


def peers_of(workload, options):
    """Those asked for that have the algorithm, or the workload's own."""
    algo = WORKLOADS[workload]["algo"]
    able = lambda name: name == "elegante" or algo in SCRIPTS[name][2]
    return [name for name in options.peers or PEERS[workload] if able(name)]


def settings_of(workload, overrides):
    """The workload's settings with the user's over them."""
    settings = dict(WORKLOADS[workload])
    for override in overrides:
        key, _, text = override.partition("=")
        if key not in settings:
            raise ValueError(f"{workload} has no setting {key!r}; it has {', '.join(settings)}")
        ours = settings[key]
        try:
            value = text if isinstance(ours, str) else json.loads(text)
        except json.JSONDecodeError:
            value = None
        # A number without a point is as good as one with it.
        if type(value) is not type(ours) and (type(ours), type(value)) != (float, int):
            raise ValueError(f"{key} of {workload} is like {json.dumps(ours)}, not {text!r}")
        settings[key] = value
    return settings


def needs(options):
    """What has to be there: `elegante`, and the names of virtual environments."""
    names = {name for workload in options.workload for name in peers_of(workload, options)}
    return sorted({name if name == "elegante" else SCRIPTS[name][0] for name in names})


def missing(options):
    """What isn't there of it, and what to do."""
    for need in needs(options):
        if need == "elegante":
            if not shutil.which(options.elegante):
                yield (
                    f"no program {options.elegante}: cargo build --release --package elegante-cli makes it, "
                    "--elegante (for run.sh, ELEGANTE) names another"
                )
        elif not shutil.which(python := python_of(need, options)):
            yield f"no {python}: benches/peers/run.sh makes it; --peers chooses those that do without"


def python_of(venv, options):
    return options.venvs / venv / "bin/python"


def elegante(options, settings, seed, run):
    """The command that trains with these settings."""
    algo = settings["algo"]
    command = [options.elegante, "train", settings["env"], "--algo", algo, "--json"]
    command += ["--out", run, "--seed", seed, "--threads", options.cores]
    for key, value in settings.items():
        if key not in ("env", "algo"):
            text = value if isinstance(value, str) else json.dumps(value)
            command += ["--set", f"{PLACES.get(key, algo + '.')}{key}={text}"]
    return command


def command_of(name, options, settings, seed, run):
    if name == "elegante":
        return elegante(options, settings, seed, run)
    venv, (script, *words), _ = SCRIPTS[name]
    return [python_of(venv, options), "-W", "ignore", HERE / script, *words, json.dumps(settings), seed, options.cores]


def environment_of(name, options, cache):
    threads = {key: str(options.cores) for key in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    environment = os.environ | threads | {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    if name == "jax-cached":
        environment |= {
            "JAX_COMPILATION_CACHE_DIR": str(cache),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
    return environment


def measured(command, environment, scratch):
    """A process from its start to its end: [wall, CPU] seconds, peak MiB, and the last line it printed.

    A child's peak from wait4 is never below that of who started it, and a Python is larger than elegante:
    GNU time, which is tiny, is put in between where there is one.
    """
    peak = scratch / "peak"
    gnu_time = shutil.which("gtime") or (platform.system() == "Linux" and shutil.which("time"))
    prefix = [gnu_time, "--quiet", "-f", "%M", "-o", peak] if gnu_time else []
    with open(scratch / "output", "w+") as output:
        start = time.perf_counter()
        words = [str(word) for word in prefix + command]
        child = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT, env=environment)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if child.returncode != 0:
        sys.exit(f"{' '.join(words)}\n{text}\nfailed with status {child.returncode}")
    kib = int(peak.read_text()) if gnu_time else usage.ru_maxrss / (1024 if platform.system() == "Darwin" else 1)
    return [wall, usage.ru_utime + usage.ru_stime], kib / 1024, json.loads(text.splitlines()[-1])


def run(name, options, settings, seed, scratch):
    """One training run, as one flat record."""
    command = command_of(name, options, settings, seed, scratch / "run")
    environment = environment_of(name, options, scratch / "cache")
    whole, mebibytes, line = measured(command, environment, scratch)
    shutil.rmtree(scratch / "run", ignore_errors=True)
    if name == "elegante":
        # It doesn't report the CPU time of its parts.
        line["training"] = [line["train_seconds"], None]
    return {
        "peer": name,
        "seed": seed,
        "whole": whole,
        "training": line["training"],
        "compiling": line.get("compiling"),
        "peak_mib": mebibytes,
        "steps": line["steps"],
        "updates": line["updates"],
        "mean_return": line["mean_return"],
    }


def compare(workload, options):
    """All rounds of one workload; in each, everyone once, beginning with another one."""
    names = peers_of(workload, options)
    settings = options.settings[workload]
    records = []
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        if "jax-cached" in names:
            run("jax-cached", options, settings, options.seed, scratch)
        for round in range(options.rounds):
            first = round % len(names)
            for name in names[first:] + names[:first]:
                record = run(name, options, settings, options.seed + round, scratch)
                records.append({"workload": workload, "cores": options.cores, **record})
                note(options, records[-1], settings)
    return names, records


def note(options, record, settings):
    wall, cpu = record["whole"]
    print(f"{record['workload']} {record['peer']}: {wall:.2f} s, {cpu:.2f} CPU s", file=sys.stderr, flush=True)
    if options.json:
        with open(options.json, "a") as file:
            file.write(json.dumps(record | {"settings": settings}) + "\n")


def column(records, part, kind):
    """The seconds of one part (whole, training, compiling) by one clock (0: wall, 1: CPU) that there are."""
    values = [record[part] and record[part][kind] for record in records]
    return [value for value in values if value is not None]


def number(seconds):
    return f"{seconds:.3f}" if seconds < 1 else f"{seconds:.2f}"


def cell(values):
    return f"{number(min(values))} / {number(statistics.median(values))}" if values else "–"


def ratio(values, ours):
    return f"{min(values) / min(ours):.2f}" if values and ours else "–"


def table(workload, names, records, cores):
    """A Markdown table of one workload. Ratios are of CPU seconds on one core, of wall seconds on several."""
    by = {name: [r for r in records if r["peer"] == name] for name in names}
    clock, word = (1, "CPU") if cores == 1 else (0, "wall")
    ours = column(by.get("elegante", []), "whole", clock)
    fewest, most = (f"{pick(r['steps'] for r in records):,}" for pick in (min, max))
    steps = fewest if fewest == most else f"{fewest} to {most}"
    lines = [
        f"### {workload}: {WORKLOADS[workload]['algo']}, {steps} steps",
        "",
        "| | whole process, s | CPU s | training alone, s | CPU s | compiling, s | peak MiB | mean return "
        f"| whole ÷ elegante ({word}) | training ÷ whole elegante ({word}) |",
        "|-|" + "-:|" * 9,
    ]
    for name, rows in by.items():
        cells = [cell(column(rows, part, kind)) for part in ("whole", "training") for kind in (0, 1)]
        cells.append(cell(column(rows, "compiling", 0)))
        cells.append(f"{max(r['peak_mib'] for r in rows):.0f}")
        cells.append(" ".join(f"{r['mean_return']:.0f}" for r in sorted(rows, key=lambda r: r["seed"])))
        cells += [ratio(column(rows, part, clock), ours) for part in ("whole", "training")]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def pin(cores):
    """Confines this process, and so its children, to that many cores where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        return "not pinned"
    available = sorted(os.sched_getaffinity(0))
    if cores > len(available):
        sys.exit(f"--cores {cores}: there are {len(available)}")
    os.sched_setaffinity(0, available[:cores])
    return "pinned"


def main():
    options = arguments()
    if options.needs:
        print(*needs(options))
        return
    if lacking := list(missing(options)):
        sys.exit("\n".join(lacking))
    load = os.getloadavg()[0]
    pinned = pin(options.cores)
    print(f"{processor()}, {platform.system()}, {options.cores} core(s), {pinned}; load before: {load:.1f}.")
    print(f"Best / median of {options.rounds} round(s); ratios of the best.")
    for workload in options.workload:
        names, records = compare(workload, options)
        print("\n" + table(workload, names, records, options.cores), flush=True)


if __name__ == "__main__":
    main()
