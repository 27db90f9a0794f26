"""Draws where the time of a training run goes, from what perf has seen, as a flame graph.

On Linux, from the repository's root, with a binary that has symbols, as `cargo build --release` makes it:
    perf record -m 64M -F 2000 --call-graph dwarf,65528 -o /tmp/f.perf target/release/elegante train CartPole-v1 \\
        --threads 1 --seed 3 --quiet --out /tmp/f_run
    perf script --no-inline -i /tmp/f.perf -F ip,sym |
        python scripts/flame.py --from Trainer::step --table > docs/results/flame.svg
    rm -r /tmp/f.perf /tmp/f_run

The stacks of the whole preset take 640 MB; with `--steps 20000` it is a fifth of that. Without `--no-inline` perf
looks for inlined functions for minutes, of which symbols alone don't tell.

A rectangle is as wide as the part of the samples that were inside the function, itself and what it called; what
is above it was called by it, in the order of the alphabet. Narrow ones are left out, as are the functions of Rust's
libraries, of pulp, and those that only choose instructions or threads: their time is their caller's. What happens
inside the allocator or the kernel is one rectangle. The table, on standard error, gives every sample to one row.
Needs nothing but Python.
"""

import argparse
import functools
import re
import sys
from html import escape

WIDTH, HEIGHT, MARGIN, TOP, SIZE = 1200, 19, 10, 66, 11
# Their names say nothing here: what is inside them was called by the one around them.
PLUMBING = {"core", "alloc", "std", "hashbrown", "pulp"}
CHOOSING = {"elegante_kernels::team::by_rows", "elegante_kernels::arithmetic::machine::best"}
COLOURS = {
    "elegante": "#f9c784",
    "burn": "#a9cdec",
    "allocator and libc": "#bfe3b4",
    "kernel": "#e3b9d6",
    "others": "#dcdcdc",
}
# How a call enters the kernel, by a function that is on the stack then.
ENTRIES = {"exc_page_fault": "page fault", "do_syscall_64": "system call"}

# A sample with such a frame is of that row, whatever is inside it.
WHOLE = [
    ("evaluation", r"Trainer::evaluate\b|evaluate::evaluate"),
    ("rollouts", r"::collect$"),
]
# Any other is of the row that its innermost frame is of, of those that are of any.
INNERMOST = [
    ("layers forward: matrix product, bias and activation", r"flex::layer$"),
    ("activations' way back", r"flex::through_activation$"),
    ("layers backward: dx", r"(flex|dense)::input_gradient$"),
    ("layers backward: dW and db", r"flex::parameter_gradients$|::(weight|bias)_gradient$"),
    (
        "losses and distributions",
        r"^elegante_policy::(distribution|head)::|<elegante_kernels::fused::autodiff::(?!Dense)\w+.* as .*::backward$"
        r"|^elegante_trainer::algorithms::objective::terms$|::(policy_loss|value_loss|clipped_surrogate|entropy)$"
        r"|::(mean_squared_error|log_softmax|log_softmax_of|pick|with_bonus|huber_of)$",
    ),
    ("gradients out of burn, and added up", r"::on_host$|::Flat::(append|scale|gradient)$"),
    ("Adam and clipping", r"::Optimizer::step$"),
    ("parameters back into burn", r"::Flat::put$"),
    ("minibatches", r"::Rollout::(gather|shard)$|::Minibatches::shuffled$"),
    ("burn's autodiff: registering, building the tape, walking it, cleaning up", r"^<?burn_autodiff::"),
]
REST = "the rest"
ORDER = [*(row for row, _ in INNERMOST), *(row for row, _ in reversed(WHOLE)), REST]


def stacks(lines):
    """Each sample as the names of its frames, the outermost first; a kernel's are "[kernel]"."""
    frames = []
    for line in lines:
        address, _, name = line.strip().partition(" ")
        if address:
            name = re.sub(r" \(inlined\)$|::h[0-9a-f]{16}$|\+0x[0-9a-f]+$", "", name)
            frames.append((int(address, 16) >> 63, name or "[unknown]"))
        elif frames:
            yield outermost_first(frames)
            frames = []
    if frames:
        yield outermost_first(frames)


def outermost_first(frames):
    stack = [name for kernel, name in reversed(frames) if not kernel]
    inside = [name for kernel, name in frames if kernel]
    if inside:
        why = next((why for entry, why in ENTRIES.items() if entry in inside), "interrupt")
        stack.append(f"[kernel] {why}")
    return stack


def without_generics(name):
    """The path without what stands in angle brackets behind a part of it."""
    parts, depth = [], 0
    for part in re.split(r"([<>])", name.replace("->", "")):
        if part in "<>" and part:
            depth += 1 if part == "<" else -1
        elif depth == 0:
            parts.append(part)
    return re.sub(r"::(?=::|$)", "", "".join(parts)).replace("&", "").replace("mut ", "").strip()


def matching(name, start):
    """Where the angle bracket that opens at `start` closes."""
    depth = 0
    for i in range(start, len(name)):
        depth += {"<": 1, ">": -1}.get(name[i], 0)
        if depth == 0:
            return i
    return len(name)


def parsed(name):
    """The type or path that a function belongs to, its trait where there is one, and its own name."""
    name = name.replace("::{{closure}}", "")
    opening = 0 if name.startswith("<") else name.find("::<impl ") + 2
    if opening == 1:
        path = without_generics(name)
        return path.rpartition("::")[0], "", path.rpartition("::")[2]
    end = matching(name, opening)
    inner, rest = name[opening + 1 : end], without_generics(name[end + 1 :]).strip(":")
    if opening:
        trait, _, owner = inner.removeprefix("impl ").rpartition(" for ")
    else:
        owner, _, trait = inner.partition(" as ")
    return without_generics(owner), without_generics(trait), rest


def short(name):
    """The last part of the type, or of the path, and the function: `dense::weight_gradient`."""
    if "::" not in name:
        return "allocator" if re.match(r"_*mi_", name) else name
    owner, trait, function = parsed(name)
    owner = trait if len(owner) <= 1 else owner
    kept = owner.rpartition("::")[2]
    return f"{kept}::{function}"


def crate(name):
    """Whose code it is: a trait's or type's own crate is the only one that may have both."""
    if name.startswith("[kernel]"):
        return "kernel"
    if "::" not in name:
        return "elegante" if name == "main" else "allocator and libc"
    owner, trait, _ = parsed(name)
    roots = [re.split(r"[_:]", path.lstrip("([&* "))[0] for path in (name.lstrip("<"), owner, trait)]
    if name in CHOOSING:
        return "plumbing"
    if "elegante" in roots:
        return "elegante"
    if "burn" in roots:
        return "burn"
    return "plumbing" if any(root in PLUMBING for root in roots) else "others"


@functools.cache
def rows_of(name):
    """The row that a function's name stands for in WHOLE, and in INNERMOST, or nothing."""
    return [next((row for row, pattern in rows if re.search(pattern, name)), None) for rows in (WHOLE, INNERMOST)]


def row_of(stack):
    found = [rows_of(name) for name in stack]
    whole = [row for row, _ in found if row]
    return next(iter(whole + [row for _, row in reversed(found) if row]), REST)


class Frame:
    """A function where it was called from: how many samples were in it, and what it called."""

    def __init__(self, name, group):
        self.name, self.label, self.group = name, short(name), group
        self.count, self.called = 0, {}

    def add(self, stack, facts):
        frame = self
        frame.count += 1
        for name in stack:
            label, group = facts[name]
            # Recursion, a closure of the function itself, a method of the same name: still the same.
            if group == "plumbing" or label == frame.label:
                continue
            frame = frame.called.setdefault(label, Frame(name, group))
            frame.count += 1


def rectangles(frame, x, depth, least):
    """`(frame, x, depth)` of it and of all that are wide enough, x counted in samples."""
    yield frame, x, depth
    for label in sorted(frame.called, key=str.lower):
        called = frame.called[label]
        if called.count >= least:
            yield from rectangles(called, x, depth + 1, least)
        x += called.count


def length(text):
    """How long a line of DejaVu Sans is, the widest of the fonts that may be taken."""
    widths = {letter: 0.36 for letter in "ijl:;.,'|I()[] ftr"} | {letter: 0.95 for letter in "mwMW%…"}
    return SIZE * sum(widths.get(letter, 0.62) for letter in text)


def fitted(text, share, room):
    """As much of the text as has room, and the share if that has, too."""
    function = text.rpartition("::")[2]
    cut = [f"{function[:n]}…" for n in range(len(function) - 1, 2, -1)]
    return next((line for line in (f"{text} {share}", text, function, *cut) if length(line) <= room), "")


def picture(root, least, title, note):
    drawn = list(rectangles(root, 0, 0, least))
    floor = TOP + HEIGHT * max(depth for _, _, depth in drawn)
    scale = (WIDTH - 2 * MARGIN) / root.count
    height = floor + HEIGHT + MARGIN
    used = [group for group in COLOURS if any(frame.group == group for frame, _, _ in drawn)]
    styles = "".join(f".flame .c{i}{{fill:{COLOURS[group]}}}\n" for i, group in enumerate(used))
    legend, x = [], MARGIN
    for i, group in enumerate(used):
        legend.append(f'<rect class="c{i}" x="{x}" y="46" width="12" height="12"/>')
        legend.append(f'<text x="{x + 17}" y="56">{group}</text>')
        x += 40 + round(length(group))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="flame" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img">',
        f"<title>{escape(title)}</title>",
        "<style>",
        ".flame text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;"
        f"font-size:{SIZE}px;fill:#1f2328}}",
        ".flame .title{font-size:15px;font-weight:600}",
        ".flame .page{fill:#ffffff}",
        ".flame g rect{stroke:#ffffff;stroke-width:0.8}",
        f"{styles}</style>",
        f'<rect class="page" width="{WIDTH}" height="{height}"/>',
        f'<text class="title" x="{MARGIN}" y="20">{escape(title)}</text>',
        f'<text x="{MARGIN}" y="37">{escape(note)}</text>',
        *legend,
    ]
    for frame, x, depth in drawn:
        left, width, y = MARGIN + x * scale, frame.count * scale, floor - HEIGHT * depth
        share = f"{100 * frame.count / root.count:.1f} %"
        label = fitted(frame.label, share, width - 5)
        text = f'<text x="{left + 3:.1f}" y="{y + 13}">{escape(label)}</text>' if label else ""
        lines.append(
            f'<g><title>{escape(frame.name)} {share}</title><rect class="c{used.index(frame.group)}" x="{left:.1f}" '
            f'y="{y}" width="{width:.1f}" height="{HEIGHT}"/>{text}</g>'
        )
    return "\n".join([*lines, "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--from", dest="start", metavar="NAME", help="draw from the first function that has this")
    parser.add_argument("--least", type=float, default=0.4, metavar="PERCENT", help="leave out what is less [0.4]")
    parser.add_argument("--title", default="Where the time goes: PPO on CartPole-v1, one thread")
    parser.add_argument("--table", action="store_true", help="print shares by what is done to standard error")
    args = parser.parse_args()

    samples = list(stacks(sys.stdin))
    if not samples:
        sys.exit("no samples: perf script -F ip,sym | flame.py")
    facts = {name: (short(name), crate(name)) for name in {name for stack in samples for name in stack}}
    root, elsewhere = Frame("all samples", "others"), Frame("elsewhere", "others")
    for stack in samples:
        start = 0
        if args.start:
            start = next((i for i, name in enumerate(stack) if args.start in name), None)
        if start is None:
            elsewhere.count += 1
            root.count += 1
        else:
            root.add(stack[start:], facts)
    if args.start and not root.called:
        sys.exit(f"no function has {args.start!r} in its name")
    if elsewhere.count:
        root.called["~"] = elsewhere
    least = len(samples) * args.least / 100
    note = f"{len(samples):,} samples; less than {args.least:g} % is not drawn; the pointer shows names and shares"
    sys.stdout.write(picture(root, least, args.title, note))

    if args.table:
        rows = [row_of(stack) for stack in samples]
        print("| share | what |\n|-|-|", file=sys.stderr)
        for row in ORDER:
            print(f"| {100 * rows.count(row) / len(rows):.1f} % | {row} |", file=sys.stderr)


if __name__ == "__main__":
    main()
