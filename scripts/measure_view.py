"""What `--tui` costs: alternating runs with and without it, each on a pseudo-terminal of its own.

    cargo build --release
    python scripts/measure_view.py target/release/elegante [PAIRS [STEPS]]

Compared are CPU seconds (user and system, of the whole process) and steps a second of the training. The
smallest time and the largest speed of either kind count: what is above, or below, is other work of the machine.
Needs nothing but Python, on Linux or macOS.
"""

import fcntl
import json
import os
import pty
import struct
import sys
import tempfile
import termios
from pathlib import Path

COLUMNS, ROWS = 120, 40


def train(program: str, run: Path, steps: int, view: bool) -> tuple[float, float]:
    """CPU seconds of a run, and its steps a second."""
    args = [program, "train", "CartPole-v1", "--steps", str(steps), "--out", str(run)]
    args += ["--set", "eval_episodes=1"] + ["--tui"] * view
    pid, terminal = pty.fork()
    if pid == 0:
        size = struct.pack("HHHH", ROWS, COLUMNS, 0, 0)
        fcntl.ioctl(sys.stderr, termios.TIOCSWINSZ, size)
        os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", LC_ALL="C.UTF-8")
        os.execvp(program, args)
    shown = 0
    try:
        while part := os.read(terminal, 1 << 16):
            shown += len(part)
    except OSError:
        pass  # Linux has an error for the end.
    _, status, used = os.wait4(pid, 0)
    os.close(terminal)
    if status != 0:
        sys.exit(f"{' '.join(args)} failed: {status}")
    speed = json.loads((run / "run.json").read_text())["train_steps_per_second"]
    print(f"{run.name:10} {used.ru_utime + used.ru_stime:7.3f} CPU s {speed:9.0f} steps/s {shown:9} bytes shown")
    return used.ru_utime + used.ru_stime, speed


def main() -> None:
    program = os.path.abspath(sys.argv[1])
    given = sys.argv[2:]
    pairs, steps = map(int, given + ["8", "400000"][len(given):])
    with tempfile.TemporaryDirectory() as folder:
        runs = {False: [], True: []}
        for pair in range(pairs):
            for view in (False, True):
                name = f"{'view' if view else 'plain'}-{pair}"
                runs[view].append(train(program, Path(folder, name), steps, view))
    (plain, fast), (seen, slow) = (
        (min(cpu for cpu, _ in runs[view]), max(speed for _, speed in runs[view])) for view in (False, True)
    )
    print(f"CPU time {100 * (seen / plain - 1):+.2f} %, speed {100 * (slow / fast - 1):+.2f} %")


if __name__ == "__main__":
    main()
