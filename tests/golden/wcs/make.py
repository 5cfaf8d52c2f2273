#!/usr/bin/env python3
"""Makes cases.txt: positions by wcslib (through astropy) for headers of every projection Bunter reads.

    make.py cases.txt [IMAGES]

IMAGES is a folder of survey images (vircam_h/*.fits, decam_mini/**/*.fits); only the WCS numbers of their headers are kept.

Lines of cases.txt:
    case NAME
    key KEYWORD VALUE            a header record; texts in quotes
    pix X Y LON LAT              zero-based pixel, its sky position by astropy (degrees)
    sky LON LAT X Y              sky position (degrees), its pixel by astropy (wcslib inverse, or all_world2pix for SIP)
"""
import glob
import os
import re
import sys
import warnings

import astropy
import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

warnings.simplefilter("ignore")
rng = np.random.default_rng(20240607)
out = []
worst = 0.0
WCS_KEY = re.compile(
    r"(CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CROTA)[12]$|(CD|PC|PV)[12]_\d+$|(A|B|AP|BP)_(ORDER|\d_\d)$"
    r"|LONPOLE$|LATPOLE$|RADESYS$|RADECSYS$|EQUINOX$"
)


def emit(name, header, xs, ys):
    """One case: the header, the pixels with their positions, and positions nearby with their pixels."""
    global worst
    full = fits.Header()
    full["NAXIS"], full["NAXIS1"], full["NAXIS2"] = 2, 2048, 4096
    for key, value in header.items():
        full[key] = value
    wcs = WCS(full, fix=False)
    lon, lat = wcs.all_pix2world(xs, ys, 0)
    if wcs.wcs.lng == 1:
        lon, lat = lat, lon
    if "ZPN" in header["CTYPE1"] and "SIP" not in header["CTYPE1"]:
        # wcslib solves for the colatitude only to 1e-13 rad; the way from the sky is direct, so the pixel is taken from it.
        xs, ys = wcs.wcs_world2pix(*((lat, lon) if wcs.wcs.lng == 1 else (lon, lat)), 0)
    assert np.all(np.isfinite(lon)) and np.all(np.isfinite(lat)), name
    # A position between pixels of the list, so that the inverse starts from numbers of its own.
    px, py = xs[: len(xs) // 2] + 0.37, ys[: len(ys) // 2] - 0.21
    slon, slat = wcs.all_pix2world(px, py, 0)
    back = wcs.all_world2pix(slon, slat, 0, tolerance=1e-11, maxiter=100, adaptive=False, detect_divergence=True)
    worst = max(worst, np.max(np.hypot(back[0] - px, back[1] - py)))
    if wcs.wcs.lng == 1:
        slon, slat = slat, slon
    out.append(f"case {name}")
    for key, value in header.items():
        text = f"'{value}'" if isinstance(value, str) else repr(value)
        out.append(f"key {key} {text}")
    for row in zip(xs, ys, lon, lat):
        out.append("pix " + " ".join(repr(float(v)) for v in row))
    for row in zip(slon, slat, *back):
        out.append("sky " + " ".join(repr(float(v)) for v in row))


def spots(width, height, n=10):
    xs = np.concatenate([[-0.5, width - 0.5, 0.0], np.round(rng.uniform(0, width, n - 3), 2)])
    ys = np.concatenate([[-0.5, height - 0.5, height - 1.0], np.round(rng.uniform(0, height, n - 3), 2)])
    return xs, ys


def base(code, crval, scale=None, angle=None, flip=None, crpix=None, form="cd", swap=False, suffix=""):
    scale = (scale or rng.uniform(0.15, 0.4)) / 3600
    angle = np.radians(rng.uniform(0, 360) if angle is None else angle)
    parity = -1.0 if (rng.uniform() < 0.6 if flip is None else flip) else 1.0
    crpix = crpix or [rng.uniform(-6000, 8000), rng.uniform(-6000, 8000)]
    c, s = np.cos(angle), np.sin(angle)
    h = {}
    lon, lat = (2, 1) if swap else (1, 2)
    h[f"CTYPE{lon}"], h[f"CTYPE{lat}"] = f"RA---{code}{suffix}", f"DEC--{code}{suffix}"
    h[f"CRVAL{lon}"], h[f"CRVAL{lat}"] = float(crval[0]), float(crval[1])
    h["CRPIX1"], h["CRPIX2"] = map(float, crpix)
    rot = {(lon, 1): parity * c, (lon, 2): -s, (lat, 1): parity * s, (lat, 2): c}
    if form == "cd":
        for (i, j), v in rot.items():
            h[f"CD{i}_{j}"] = float(scale * v)
    elif form == "pc":
        for (i, j), v in rot.items():
            h[f"PC{i}_{j}"] = float(v)
        h["CDELT1"], h["CDELT2"] = scale, scale * 1.01
    else:
        h[f"CDELT{lon}"], h[f"CDELT{lat}"] = -scale, scale
        h[f"CROTA{lat}"] = float(np.degrees(angle))
    return h


CRVALS = [(0.0001, 0.0), (359.9999, -30.0), (150.1, 2.2), (77.0, 89.95), (200.0, -89.9), (10.0, 90.0), (45.0, -90.0),
          (270.0, -45.0), (123.4, 60.0)]


def plain():
    for code in ["TAN", "STG", "ZPN"]:
        for i, crval in enumerate(CRVALS):
            h = base(code, crval, form=["cd", "pc", "crota"][i % 3])
            if code == "ZPN":
                h.update({"PV2_1": 1.0, "PV2_3": float(rng.uniform(-60, 60))})
            emit(f"{code.lower()}-{i}", h, *spots(2048, 4096))
    for i, crval in enumerate(CRVALS[:5] + CRVALS[7:]):
        h = base("CEA", (crval[0], min(max(crval[1], -60), 60)), scale=rng.uniform(0.5, 20), form=["cd", "pc"][i % 2])
        if i % 2:
            h["PV2_1"] = float(rng.uniform(0.4, 1.0))
        if i in (3, 4):
            h["LATPOLE"] = -90.0 if i == 3 else 45.0
        emit(f"cea-{i}", h, *spots(2048, 4096))


def poles():
    for i, (code, lonpole) in enumerate([("TAN", 0.0), ("TAN", 90.0), ("STG", 150.0), ("ZPN", 200.0), ("TPV", -33.0)]):
        h = base(code, (33.0, [20.0, -89.99, 90.0, -5.0, 70.0][i]), swap=i == 1)
        h["LONPOLE"] = lonpole
        if code == "ZPN":
            h.update({"PV2_1": 1.0, "PV2_3": 44.0, "PV2_5": -10300.0})
        if code == "TPV":
            h.update(tpv_terms(0.3))
        emit(f"lonpole-{i}", h, *spots(2048, 4096))
    h = base("CEA", (40.0, 30.0), scale=5.0)
    h["LONPOLE"], h["LATPOLE"] = 20.0, -60.0
    emit("lonpole-cea", h, *spots(2048, 4096))
    for i, pv in enumerate([{"PV1_3": 170.0}, {"PV1_1": 10.0, "PV1_2": 80.0}, {"PV1_1": 0.0, "PV1_2": 90.0, "PV1_3": 12.0, "PV1_4": 88.0}]):
        h = base(["TAN", "TAN", "STG"][i], (210.0, 25.0))
        h.update(pv)
        emit(f"pv-pole-{i}", h, *spots(2048, 4096))
    # No TPV: wcslib 8 takes the plane's coordinates for each other when the declination comes first.
    for i, swap_code in enumerate(["TAN", "STG", "ZPN", "CEA"]):
        h = base(swap_code, (300.0, -12.0), swap=True, form=["pc", "cd", "crota", "crota"][i])
        if swap_code == "ZPN":
            h.update({"PV1_1": 1.0, "PV1_3": 44.0})
        emit(f"dec-first-{swap_code.lower()}", h, *spots(2048, 4096))


def sip_terms(strength, order, half=2500.0, inverse=False):
    """Coefficients that move a pixel `half` pixels out by up to about `strength` pixels."""
    h = {}
    for name in ["A", "B"]:
        h[f"{name}_ORDER"] = order
        for p in range(order + 1):
            for q in range(order + 1 - p):
                if p + q >= 2:
                    h[f"{name}_{p}_{q}"] = float(rng.normal() * strength / (order * half ** (p + q)))
    if inverse:
        for name in ["A", "B"]:
            h[f"{name}P_ORDER"] = 2
            for p, q in [(2, 0), (1, 1), (0, 2)]:
                h[f"{name}P_{p}_{q}"] = -h[f"{name}_{p}_{q}"]
    return h


def sips():
    for i, (strength, order) in enumerate([(0.5, 2), (5, 3), (30, 4), (100, 5), (60, 3), (20, 7), (10, 9)]):
        code = ["TAN", "TAN", "TAN", "TAN", "STG", "TAN", "TAN"][i]
        h = base(code, CRVALS[i], crpix=[1024.5, 2048.5], suffix="-SIP" if i != 5 else "", form=["cd", "pc"][i % 2])
        h.update(sip_terms(strength, order, inverse=i in (1, 3)))
        emit(f"sip-{i}", h, *spots(2048, 4096))


TPV_DEGREE = {0: 0, 1: 1, 2: 1, 3: 1}
for start, degree in [(4, 2), (7, 3), (12, 4), (17, 5), (24, 6), (31, 7)]:
    for k in range(degree + 1):
        TPV_DEGREE[start + k] = degree
TPV_DEGREE.update({11: 3, 23: 5, 39: 7})


def tpv_terms(strength, max_degree=3, radial=False, half=0.6):
    h = {}
    for axis in [1, 2]:
        for m, degree in sorted(TPV_DEGREE.items()):
            if degree > max_degree or (m in (3, 11, 23, 39) and not radial):
                continue
            h[f"PV{axis}_{m}"] = float((m == 1) + rng.normal() * strength * 0.005 / half ** max(degree - 1, 0))
    return h


def tpvs():
    for i, (strength, degree, radial) in enumerate([(0.1, 3, False), (1, 3, False), (1, 4, True), (1, 5, True), (1, 7, True), (3, 3, False), (2, 7, True)]):
        h = base("TPV", CRVALS[i], crpix=[float(rng.uniform(-2000, 4000)), float(rng.uniform(-1000, 5000))])
        h.update(tpv_terms(strength, degree, radial))
        emit(f"tpv-{i}", h, *spots(2048, 4096))
    h = base("TAN", (83.0, -5.0), crpix=[500.0, 3000.0])
    h.update(tpv_terms(1.0, 3))
    emit("scamp-tan", h, *spots(2048, 4096))


def real(images):
    files = sorted(glob.glob(f"{images}/vircam_h/image_*.fits"))[:3]
    files += [sorted(glob.glob(f"{d}/*.fits"))[k] for d in sorted(glob.glob(f"{images}/decam_mini/*")) for k in (0, -1)]
    for path in files:
        hdu = fits.open(path)[1]
        header = {k: hdu.header[k] for k in sorted(set(hdu.header.keys())) if WCS_KEY.match(k)}
        if not header.get("CTYPE1", "").startswith("RA"):
            continue
        name = os.path.basename(path).removesuffix(".fits")
        emit(f"real-{name}", header, *spots(hdu.header.get("ZNAXIS1", 2046), hdu.header.get("ZNAXIS2", 4094)))


plain()
poles()
sips()
tpvs()
if len(sys.argv) > 2:
    real(sys.argv[2])
out.insert(0, f"# astropy {astropy.__version__}; largest round trip error of astropy itself {worst:.1e} pixel")
open(sys.argv[1], "w").write("\n".join(out) + "\n")
print(out[0], len(out), "lines")
