"""What `--tui` costs: alternating runs with and without it, each on a pseudo-terminal of its own.

    cargo build --release
    python scripts/measure_view.py target/release/elegante [PAIRS [STEPS]]

Compared are CPU seconds (user and system, of the whole process) and steps a second of the training. The
smallest time and the largest speed of either kind count: what is above, or below, is other work of the machine.
On a busy machine even they say little. What the threads of the view themselves used, the one that draws and the one
that plays, is steadier: it is told as a part of one core over the time of the training, the largest of any run.
Needs nothing but Python, on Linux.
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


def used_by_view(pid: int) -> float:
    """CPU seconds of the threads that draw and play, so far."""
    nanoseconds = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            if (task / "comm").read_text().strip() in ("view", "stage"):
                nanoseconds += int((task / "schedstat").read_text().split()[0])
        except FileNotFoundError:
            pass  # It has ended since.
    return nanoseconds / 1e9


def train(program: str, run: Path, steps: int, view: bool) -> tuple[float, float, float]:
    """CPU seconds of a run, the part of a core that the view's threads took, and its steps a second."""
    args = [program, "train", "CartPole-v1", "--steps", str(steps), "--out", str(run)]
    args += ["--set", "eval_episodes=1"] + ["--tui"] * view
    pid, terminal = pty.fork()
    if pid == 0:
        size = struct.pack("HHHH", ROWS, COLUMNS, 0, 0)
        fcntl.ioctl(sys.stderr, termios.TIOCSWINSZ, size)
        os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", LC_ALL="C.UTF-8")
        os.execvp(program, args)
    shown, of_view = 0, 0.0
    try:
        while part := os.read(terminal, 1 << 16):
            shown += len(part)
            of_view = max(of_view, used_by_view(pid))
    except OSError:
        pass  # Linux has an error for the end.
    _, status, used = os.wait4(pid, 0)
    os.close(terminal)
    if status != 0:
        sys.exit(f"{' '.join(args)} failed: {status}")
    info = json.loads((run / "run.json").read_text())
    speed, part = info["train_steps_per_second"], of_view / info["train_seconds"]
    cpu = used.ru_utime + used.ru_stime
    print(f"{run.name:10} {cpu:7.3f} CPU s, {of_view:5.3f} of them the view's, {speed:6.0f} steps/s, {shown:6} bytes shown")
    return cpu, part, speed


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
        (min(cpu for cpu, _, _ in runs[view]), max(speed for _, _, speed in runs[view])) for view in (False, True)
    )
    share = max(part for _, part, _ in runs[True])
    print(f"CPU time {100 * (seen / plain - 1):+.2f} %, speed {100 * (slow / fast - 1):+.2f} %")
    print(f"the view's own threads: {100 * share:.2f} % of one core at most")


if __name__ == "__main__":
    main()
