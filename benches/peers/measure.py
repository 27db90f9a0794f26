"""What the peers share: a stopwatch, and the line that each of them ends with."""

import json
import resource
import sys
import time


def job():
    """The settings, seed and number of threads that a peer is started with."""
    settings, seed, threads = sys.argv[-3:]
    return json.loads(settings), int(seed), int(threads)


class Stopwatch:
    """Wall and CPU seconds (all threads, user and system) spent in a `with` block."""

    def __enter__(self):
        self.start = self.now()
        return self

    def __exit__(self, *_):
        self.wall, self.cpu = (end - start for end, start in zip(self.now(), self.start))

    @staticmethod
    def now():
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return time.perf_counter(), usage.ru_utime + usage.ru_stime


def report(steps, updates, training, returns, compiling=None):
    """The last line of a peer's output, as compare.py reads it."""
    line = {
        "steps": steps,
        "updates": updates,
        "training": [training.wall, training.cpu],
        "compiling": compiling and [compiling.wall, compiling.cpu],
        "mean_return": sum(returns) / len(returns),
    }
    print(json.dumps(line))
