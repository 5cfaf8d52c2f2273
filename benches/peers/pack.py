"""The best numpy formulas for packing and unpacking, timed: one JSON object to standard output.

    python3 benches/peers/pack.py ROWS
"""

import json
import sys
import time

import numpy as np


def best(work, rounds=5):
    times = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def main():
    rows = int(sys.argv[1])
    rng = np.random.default_rng(1)
    a, b, c = (rng.integers(0, n, rows, dtype=np.int64) for n in (256, 1 << 20, 64))
    patch, tract, band = (rng.integers(0, n, rows, dtype=np.int64) for n in (81, 18938, 28))

    def check(x, n):
        if ((x < 0) | (x >= n)).any():
            raise ValueError

    def pack_bits():
        return a | (b << 8) | (c << 28)

    def pack_bits_checked():
        for x, n in ((a, 256), (b, 1 << 20), (c, 64)):
            check(x, n)
        return pack_bits()

    def pack_radix():
        return patch + 81 * (tract + 18938 * band)

    def pack_radix_checked():
        for x, n in ((patch, 81), (tract, 18938), (band, 28)):
            check(x, n)
        return pack_radix()

    bits, radix = pack_bits(), pack_radix()

    def unpack_bits():
        return bits & 255, (bits >> 8) & 0xFFFFF, bits >> 28

    def unpack_radix():
        rest, p = np.divmod(radix, 81)
        bd, t = np.divmod(rest, 18938)
        return p, t, bd

    def unpack_radix_unsigned():
        u = radix.view(np.uint64)
        rest = u // np.uint64(81)
        p = u - rest * np.uint64(81)
        bd = rest // np.uint64(18938)
        t = rest - bd * np.uint64(18938)
        return p, t, bd

    out = {"numpy": np.__version__}
    for work in (pack_bits, pack_bits_checked, pack_radix, pack_radix_checked, unpack_bits, unpack_radix, unpack_radix_unsigned):
        out[work.__name__] = rows / best(work) / 1e6
    print(json.dumps(out))


main()
