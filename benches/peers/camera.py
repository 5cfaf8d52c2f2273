"""Footprints of DECam's 62 detectors for many pointings, as one writes them in Python: numpy's vectorised formula, and astropy's
SkyOffsetFrame or WCS one pointing after the other. Prints `name polygons_per_second`.

python camera.py POINTINGS
"""
import sys
import time

import numpy as np

count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
rng = np.random.default_rng(1)
ra, dec = np.radians(rng.uniform(0, 360, count)), np.arcsin(rng.uniform(-1, 0.5, count))
rotation = np.radians(rng.uniform(0, 360, count))
# Corners of 62 detectors in mm.
x0, y0 = np.meshgrid(np.linspace(-190, 190, 8), np.linspace(-190, 190, 8))
x0, y0 = x0.ravel()[:62], y0.ravel()[:62]
x = (x0[:, None] + np.array([-15.36, 15.36, 15.36, -15.36])).ravel()
y = (y0[:, None] + np.array([-30.72, -30.72, 30.72, 30.72])).ravel()


def numpy_formula():
    r = np.hypot(x, y)
    factor = 8.516497674138379e-05 - 4.501399132955917e-12 * r**2
    fx, fy = -x * factor, y * factor
    cos_o, sin_o = np.cos(rotation)[:, None], np.sin(rotation)[:, None]
    xi, eta = -cos_o * fx + sin_o * fy, sin_o * fx + cos_o * fy
    cos_a, sin_a = np.cos(ra)[:, None], np.sin(ra)[:, None]
    cos_d, sin_d = np.cos(dec)[:, None], np.sin(dec)[:, None]
    v = np.stack([
        cos_d * cos_a - xi * sin_a - eta * sin_d * cos_a,
        cos_d * sin_a + xi * cos_a - eta * sin_d * sin_a,
        sin_d + eta * cos_d,
    ])
    return v / np.sqrt((v**2).sum(axis=0))


def astropy_wcs(pointings):
    from astropy.wcs import WCS

    r = np.hypot(x, y)
    factor = np.degrees(8.516497674138379e-05 - 4.501399132955917e-12 * r**2)
    out = []
    for a, d, o in zip(np.degrees(ra[:pointings]), np.degrees(dec[:pointings]), rotation[:pointings]):
        w = WCS(naxis=2)
        w.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        w.wcs.crval, w.wcs.crpix = [a, d], [0, 0]
        w.wcs.cd = np.array([[-np.cos(o), np.sin(o)], [np.sin(o), np.cos(o)]])
        out.append(w.wcs_pix2world(np.column_stack([-x * factor, y * factor]), 0))
    return out


def rate(name, work, polygons):
    best = min(timed(work) for _ in range(3))
    print(name, polygons / best)


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


rate("numpy", numpy_formula, 62 * count)
few = min(count, 300)
rate("astropy.wcs", lambda: astropy_wcs(few), 62 * few)
