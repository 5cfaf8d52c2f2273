"""Whatever is passed, an exception is the worst that comes of it: never a panic, which is no `Exception`."""

import itertools
import random

import numpy as np

import bunter

HOSTILE = [
    None,
    True,
    -1,
    0,
    3,
    2**31,
    2**63,
    -(2**63),
    2**64,
    10**400,
    0.5,
    float("nan"),
    float("inf"),
    -1e308,
    1j,
    "",
    "calexp",
    "\0",
    "\udc80",
    "ü" * 1000,
    "visit = 1 OR (",
    b"",
    b"\xff" * 100,
    [],
    [0, 4, 2],
    [[1], [2, 3]],
    [None],
    {},
    {"visit": 1},
    {None: None},
    (0, 0, 0, 0),
    (-(2**31), -(2**31), 2**31 - 1, 2**31 - 1),
    np.zeros(0),
    np.zeros((0, 4)),
    np.zeros((3, 4)),
    np.full(5, np.nan),
    np.arange(10)[::-3],
    np.array([2**64 - 1], np.uint64),
    np.array(["r", "i"]),
    np.array([None, 1], dtype=object),
    np.zeros(3, dtype=[("a", "i4")]),
    np.ma.MaskedArray([1, 2], mask=[True, False]),
    np.datetime64("NaT"),
    object(),
    int,
]

# What writes to places that a hostile value names.
LEFT_OUT = {"create", "ingest", "write", "store"}


def test_no_argument_panics(butler, first, sky_map):
    draw = random.Random(20261122)
    exposure = butler.get("calexp", first)
    offline = bunter.Butler.from_snapshot(butler.snapshot())
    square = bunter.Polygons([0, 1, 1, 0.0], [0, 0, 1, 1.0])
    packer = sky_map.packer("m", ["r", "i"])
    objects = [
        offline,
        sky_map,
        sky_map.tract(9813),
        square,
        packer,
        exposure.wcs,
        butler.query_datasets("calexp"),
        butler.snapshot(),
        bunter.Butler,
        bunter.Exposure,
        bunter.Packer,
        bunter.Polygons,
        bunter.SkyMap,
        bunter.Snapshot,
        bunter.Table,
        bunter.Wcs,
    ]
    values = [*HOSTILE, offline, sky_map, square, exposure, first]
    calls = refused = 0
    for target in objects:
        names = [n for n in dir(target) if not n.startswith("_") and n not in LEFT_OUT]
        methods = [getattr(target, n) for n in names if callable(getattr(target, n, None))]
        if isinstance(target, type):
            methods.append(target)
        elif hasattr(target, "__getitem__"):
            methods.append(target.__getitem__)
        for method in methods:
            ones = [(v,) for v in values]
            twos = [draw.choices(values, k=2) for _ in range(40)]
            threes = [draw.choices(values, k=3) for _ in range(20)]
            for arguments in itertools.chain(ones, twos, threes):
                calls += 1
                try:
                    method(*arguments)
                except Exception as error:
                    refused += 1
                    assert not isinstance(error, bunter.InternalError), (method, arguments, error)
    assert calls > 5000 and refused > calls // 2


def test_keywords(butler):
    for value in HOSTILE:
        for name in ("where", "order_by", "limit", "collections", "find_first", "visit", "instrument"):
            try:
                butler.query_datasets("calexp", **{name: value})
            except Exception as error:
                assert not isinstance(error, bunter.InternalError), (name, value, error)
