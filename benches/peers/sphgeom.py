"""lsst-sphgeom at the work of benches/sphere.rs: `sphgeom.py FOLDER` prints `name nanoseconds` lines.

FOLDER holds little-endian doubles: pairs.f64 (two quadrilaterals a pair, 4 x (x, y, z) each), points.f64 (x, y, z).
"""

import struct
import sys
import time

from lsst.sphgeom import ConvexPolygon, HealpixPixelization, HtmPixelization, UnitVector3d

ROUNDS = 41


def numbers(name):
    with open(f"{sys.argv[1]}/{name}", "rb") as file:
        data = file.read()
    return struct.unpack(f"<{len(data) // 8}d", data)


def vectors(values):
    return [UnitVector3d(*values[i : i + 3]) for i in range(0, len(values), 3)]


def best(name, count, work):
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    print(name, 1e9 * min(times) / count)


def relate(pairs):
    for a, b in pairs:
        a.relate(b)


def each(function, items):
    for item in items:
        function(item)


corners = vectors(numbers("pairs.f64"))
polygons = [ConvexPolygon(corners[i : i + 4]) for i in range(0, len(corners), 4)]
pairs = list(zip(polygons[::2], polygons[1::2]))[:2_000]
best("relate", len(pairs), lambda: relate(pairs))
points = vectors(numbers("points.f64"))[:2_000]
detectors = polygons[:200]
for name, pixels, few in [
    ("htm7", HtmPixelization(7), detectors),
    ("htm10", HtmPixelization(10), detectors),
    ("healpix9", HealpixPixelization(9), detectors[:20]),
]:
    # The HEALPix index goes through numpy, point by point.
    some = points if name != "healpix9" else points[:500]
    best(f"{name}_index", len(some), lambda: each(pixels.index, some))
    best(f"{name}_envelope", len(few), lambda: each(pixels.envelope, few))
