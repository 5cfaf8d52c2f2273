"""Packing and unpacking from Python, beside the best numpy formulas in the same process.

    RAYON_NUM_THREADS=1 python python/benches/pack.py [ROWS]

Bunter and numpy take turns, and the smallest of some rounds counts. numpy's packing checks its values, as Bunter does;
its unpacking checks nothing.
"""

import sys
import time

import numpy as np

import bunter


def seconds(*works, rounds=7):
    """The shortest time of each, measured in turn."""
    best = [float("inf")] * len(works)
    for _ in range(rounds):
        for i, work in enumerate(works):
            start = time.perf_counter()
            work()
            best[i] = min(best[i], time.perf_counter() - start)
    return best


def main():
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    draw = np.random.default_rng(1)
    patch, tract, visit, detector = (draw.integers(0, n, rows) for n in (81, 18938, 21_474_800, 200))
    sky = bunter.Packer.sky_map("hsc_rings_v1", 18938, 81)
    camera = bunter.Packer.observation("HSC", 200, 21_474_800)
    layouts = [
        ("tract, patch", sky, {"tract": tract, "patch": patch}, ("patch", 81), ("tract", 18938)),
        ("visit, detector", camera, {"visit": visit, "detector": detector}, ("detector", 200), ("visit", 21_474_800)),
    ]
    print(f"{rows} rows of int64, milliseconds")
    for name, packer, columns, (low, radix), (high, limit) in layouts:
        low, high = columns[low], columns[high]
        out = np.empty(rows, np.int64)
        ids = packer.pack(columns).astype(np.int64)
        targets = {column: np.empty(rows, np.int64) for column in columns}

        def numpy_pack(low=low, high=high, radix=radix, limit=limit):
            if (low < 0).any() or (low >= radix).any() or (high < 0).any() or (high >= limit).any():
                raise ValueError
            return low + radix * high

        def numpy_unpack(ids=ids, radix=radix):
            return np.divmod(ids, radix)

        times = seconds(
            numpy_pack,
            lambda packer=packer, columns=columns: packer.pack(columns),
            lambda packer=packer, columns=columns, out=out: packer.pack(columns, out=out),
        )
        report(f"pack {name}", times)
        wanted = list(columns)
        times = seconds(
            numpy_unpack,
            lambda packer=packer, ids=ids, wanted=wanted: packer.unpack(ids, wanted),
            lambda packer=packer, ids=ids, targets=targets: packer.unpack(ids, out=targets),
        )
        report(f"unpack {name}", times)


def report(what, times):
    numpy, fresh, into = (1e3 * t for t in times)
    print(
        f"{what:24} numpy {numpy:8.1f}   fresh arrays {fresh:8.1f} ({numpy / fresh:4.1f}x)"
        f"   into buffers {into:8.1f} ({numpy / into:4.1f}x)"
    )


if __name__ == "__main__":
    main()
