"""`Packer`: numpy in, a dictionary of numpy arrays out; nothing wraps around."""

import threading

import numpy as np
import pytest

import bunter

INTEGERS = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64]
BANDS = ["g", "r", "i", "z", "y"]


@pytest.fixture(scope="module")
def packer():
    return bunter.Packer.sky_map("hsc_rings_v1", 18938, 81, bands=BANDS)


def columns(rows=10_000, seed=3):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 18938, rows), rng.integers(0, 81, rows), rng.integers(0, len(BANDS), rows)


def test_both_ways_against_the_formula(packer):
    tract, patch, band = columns()
    ids = packer.pack(tract=tract, patch=patch, band=np.array(BANDS)[band])
    assert ids.dtype == np.uint64
    np.testing.assert_array_equal(ids, (patch + 81 * (tract + 18938 * band)).astype(np.uint64))
    out = packer.unpack(ids)
    np.testing.assert_array_equal(out["tract"], tract)
    np.testing.assert_array_equal(out["patch"], patch)
    np.testing.assert_array_equal(out["band"], np.array(BANDS)[band])
    assert packer.unpack(ids, ["patch"]).keys() == {"patch"}
    assert packer.unpack(ids.astype(np.int64))["tract"].dtype == np.int64


@pytest.mark.parametrize("kind", INTEGERS)
def test_every_integer_type_and_stride(packer, kind):
    patch = np.arange(81).astype(kind)
    expected = np.arange(81) + 81 * 7
    for array in (patch, patch.astype(patch.dtype.newbyteorder())):
        np.testing.assert_array_equal(packer.pack(tract=kind(7), patch=array, band="g"), expected)
    np.testing.assert_array_equal(packer.pack(tract=7, patch=patch[::-2], band="g"), expected[::-2])
    record = np.zeros(81, dtype=[("flag", "i1"), ("patch", kind)])
    record["patch"] = patch
    np.testing.assert_array_equal(packer.pack(tract=7, patch=record["patch"], band="g"), expected)
    ids = packer.pack(tract=0, patch=np.arange(81), band="g").astype(kind)
    np.testing.assert_array_equal(packer.unpack(ids[::3])["patch"], np.arange(81)[::3])


def test_scalars(packer):
    packed = packer.pack(tract=9813, patch=np.uint8(31), band="r")
    assert packed == 31 + 81 * (9813 + 18938) and isinstance(packed, int)
    assert packer.pack({"tract": 9813, "patch": 31, "band": "r"}) == packed
    assert packer.unpack(packed) == {"skymap": "hsc_rings_v1", "tract": 9813, "patch": 31, "band": "r"}
    assert packer.unpack(np.uint64(packed)) == packer.unpack(np.array(packed)) == packer.unpack(packed)
    assert packer.unpack(packed, ["tract"]) == {"tract": 9813}
    assert packer.bits == 23 and packer.max >= packed


@pytest.mark.parametrize(
    "change",
    [
        {"tract": 18938},
        {"tract": -1},
        {"patch": 81},
        {"patch": -(2**63)},
        {"tract": 2**63 - 1},
        {"tract": 2**63},
        {"band": "q"},
        {"band": 3},
        {"tract": "9813"},
        {"tract": 9813.0},
        {"tract": True},
        {"tract": None},
        {"tract": np.zeros(3)},
        {"tract": np.zeros(3, bool)},
        {"tract": np.zeros((2, 2), int)},
        {"tract": np.zeros(3, "M8[s]")},
        {"tract": [1, 2**64]},
        {"tract": np.arange(3), "patch": np.arange(4)},
        {"band": np.array(["r", None], dtype=object)},
        {"tracts": 3},
    ],
)
def test_what_does_not_fit(packer, change):
    with pytest.raises(bunter.UsageError):
        packer.pack({"tract": 9813, "patch": 31, "band": "r"} | change)


@pytest.mark.parametrize(
    "ids",
    [
        -1,
        2**64,
        2**63,
        81 * 18938 * 5,
        1.0,
        "3",
        None,
        True,
        [1.5],
        ["a"],
        [True],
        np.array([2**64 - 1], np.uint64),
        [-1],
        1j,
        object(),
        [[1]],
    ],
)
def test_integers_that_are_none_of_its_own(packer, ids):
    with pytest.raises(bunter.UsageError):
        packer.unpack(ids)


def test_bad_rows_are_named_or_masked(packer):
    tract, patch, _ = columns()
    tract[[5, 77]] = [18938, -4]
    with pytest.raises(bunter.UsageError, match="2 of 10000 rows.*row 5.*row 77"):
        packer.pack(tract=tract, patch=patch, band="r")
    ids = packer.pack(tract=tract, patch=patch, band="r", on_error="mask")
    assert np.flatnonzero(ids.mask).tolist() == [5, 77]
    out = packer.unpack(ids, on_error="mask")
    assert np.flatnonzero(out["tract"].mask).tolist() == [5, 77]
    np.testing.assert_array_equal(out["tract"].compressed(), np.delete(tract, [5, 77]))
    with pytest.raises(bunter.UsageError, match="null"):
        packer.unpack(ids)
    masked = np.ma.MaskedArray(tract, mask=(tract < 0) | (tract == 18938))
    assert packer.pack(tract=masked, patch=patch, band="r", on_error="mask").mask.sum() == 2
    with pytest.raises(bunter.UsageError, match="on_error"):
        packer.unpack(ids, on_error="ignore")


def test_into_the_callers_buffer(packer):
    tract, patch, _ = columns(1000)
    expected = packer.pack(tract=tract, patch=patch, band="r")
    for kind in (np.int32, np.uint32, np.int64, np.uint64):
        out = np.zeros(2000, kind)
        assert np.shares_memory(packer.pack(tract=tract, patch=patch, band="r", out=out[::2]), out)
        np.testing.assert_array_equal(out[::2], expected)
        assert not out[1::2].any()
    frozen = np.zeros(1000, np.uint64)
    frozen.flags.writeable = False
    for bad in (
        np.zeros(1000, np.int16),
        np.zeros(999, np.uint64),
        np.zeros(1000),
        [0] * 1000,
        np.zeros((10, 100), int),
        frozen,
    ):
        with pytest.raises(bunter.UsageError):
            packer.pack(tract=tract, patch=patch, band="r", out=bad)
    # One array to read and to write.
    with pytest.raises(bunter.UsageError):
        packer.pack(tract=tract, patch=patch, band="r", out=tract)


def test_empty_columns(packer):
    empty = np.zeros(0, np.int64)
    assert packer.pack(tract=empty, patch=empty, band="r").shape == (0,)
    assert all(len(v) == 0 for v in packer.unpack(np.zeros(0, np.uint64)).values())
    assert all(len(v) == 0 for v in packer.unpack([]).values())


def test_the_fields_layouts(sky_map, butler):
    hsc = bunter.Packer.observation("HSC", 200, 21474800)
    assert hsc.pack(visit=1228, detector=42) == 42 + 200 * 1228
    rubin = bunter.Packer.rubin("LSSTCam")
    packed = rubin.pack(visit=2025112200123, detector=94)
    assert rubin.unpack(packed)["detector"] == 94
    assert rubin.unpack(np.array([packed]))["visit"].tolist() == [2025112200123]
    records = hsc.with_records(64)
    ids = records.pack(visit=1228, detector=42, release=3, counter=np.arange(5))
    assert np.array_equal(records.unpack(ids, ["counter"])["counter"], np.arange(5)) and ids.max() < 2**63
    assert sky_map.packer("hsc_rings_v1", BANDS) == bunter.Packer.sky_map("hsc_rings_v1", 18938, 81, BANDS)
    assert butler.packer("tract,patch").unpack(0)["skymap"] == "sim"
    codes = bunter.Packer.sky_map("m", 10, 10, {"r": 3, "i": 1})
    assert codes.pack(tract=1, patch=2, band="r") == 2 + 10 * (1 + 10 * 3)
    for bad in ({"r": -1}, {"r": 1.5}, 3, {"r": 1, "i": 1}):
        with pytest.raises(bunter.UsageError):
            bunter.Packer.sky_map("m", 10, 10, bad)
    with pytest.raises(bunter.UsageError):
        bunter.Packer.sky_map("m", 2**40, 2**40)
    with pytest.raises(bunter.UsageError):
        bunter.Packer.from_toml("[[field]]\nname = 3")
    with pytest.raises((OverflowError, bunter.UsageError)):
        bunter.Packer.sky_map("m", -1, 2)


def test_the_repositorys_packers(butler, first):
    assert butler.packer("tract,patch,band") == butler.packer(["tract", "patch", "band"], {"skymap": "sim"}, bands=True)
    assert butler.packer("tract patch", skymap="sim") == butler.sky_map("sim").packer("sim")
    assert butler.packer("tract,patch,band", bands=["r", "i"]) == butler.sky_map("sim").packer("sim", ["r", "i"])
    camera = butler.packer("visit,detector", instrument="SimCam")
    assert camera == butler.packer("detector,visit")
    assert camera.unpack(camera.pack(first)) == first
    with pytest.raises(bunter.UsageError, match="HSC"):
        camera.pack(first, instrument="HSC")
    with pytest.raises(bunter.UsageError, match="no field"):
        camera.pack(first, band="r")
    datasets = butler.query_datasets("calexp", order_by="visit")
    unpacked = camera.unpack(camera.pack(datasets))
    np.testing.assert_array_equal(unpacked["visit"], datasets["visit"])
    for call in (
        lambda: butler.packer("tract,patch", bands=["r"]),
        lambda: butler.packer("tract"),
        lambda: butler.packer("tract,patch", skymap=3),
        lambda: butler.packer(3),
        lambda: butler.packer("tract,patch,band", bands=3),
        lambda: butler.packer("visit,detector", skymp="x"),
    ):
        with pytest.raises(bunter.UsageError):
            call()
    with pytest.raises(bunter.UsageError, match="`visit,detector`"):
        butler.packer("visit,detectr")
    with pytest.raises(bunter.Error, match="sim"):
        butler.packer("tract,patch", skymap="simm")
    with pytest.raises(bunter.UsageError, match="room"):
        bunter.Packer.sky_map("m", 3, 3, room=4)


def test_unpack_into_the_callers_buffers(packer):
    tract, patch, band = columns(1000)
    ids = packer.pack(tract=tract, patch=patch, band=np.array(BANDS)[band])
    for kind in (np.int32, np.uint16, np.int64, np.uint64):
        both = np.zeros((1000, 2), kind)
        codes = np.zeros(1000, np.int8)
        got = packer.unpack(ids, out={"tract": both[:, 1], "patch": both[::-1, 0], "band": codes})
        assert list(got) == ["tract", "patch", "band"] and np.shares_memory(got["tract"], both)
        np.testing.assert_array_equal(both[:, 1], tract)
        np.testing.assert_array_equal(both[::-1, 0], patch)
        np.testing.assert_array_equal(codes, band)
    small = np.zeros(1000, np.int8)
    with pytest.raises(bunter.UsageError, match="of 1000 rows"):
        packer.unpack(ids, out={"tract": small})
    got = packer.unpack(ids, out={"tract": small}, on_error="mask")["tract"]
    np.testing.assert_array_equal(got.mask, tract > 127)
    np.testing.assert_array_equal(got.compressed(), tract[tract <= 127])
    for bad in (
        {"tract": np.zeros(999, int)},
        {"tract": np.zeros(1000)},
        {"tracts": small},
        {3: small},
        [small],
        small,
    ):
        with pytest.raises(bunter.UsageError):
            packer.unpack(ids, out=bad)
    with pytest.raises(bunter.UsageError):
        packer.unpack(ids, out={"tract": both[:, 0], "patch": both[:, 0]})
    with pytest.raises(bunter.UsageError, match="`columns`"):
        packer.unpack(ids, ["tract"], out={"tract": small})


def test_nothing_is_copied(packer):
    """What is read is borrowed and what is given is fresh: no more memory than the answer takes."""
    import tracemalloc

    rows = 1_000_000
    tract, patch = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    ids = packer.pack(tract=tract, patch=patch, band="g")
    out = np.zeros(rows, np.uint64)
    # numpy reports its allocations: an array that the package asked it for, such as a copy of an input, would be seen.
    tracemalloc.start()
    packer.pack(tract=tract, patch=patch, band="g", out=out)
    packer.pack(tract=tract[::-1], patch=patch, band="g")
    packer.unpack(ids, ["tract", "patch"])
    packer.unpack(ids, out={"tract": tract, "patch": patch})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < rows


def test_tables_are_packed_by_their_columns(packer):
    table = bunter.Table({"tract": [1, 2], "patch": [3, 4], "band": ["r", "i"], "flux": [0.5, 0.6]})
    assert packer.pack(table).tolist() == [
        packer.pack(tract=1, patch=3, band="r"),
        packer.pack(tract=2, patch=4, band="i"),
    ]


def test_other_threads_go_on(packer):
    """The interpreter's lock is released: a thread of Python runs while a column is packed."""
    rows = 2_000_000
    tract, patch = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    started, done, ticks = threading.Event(), threading.Event(), []

    def tick():
        started.set()
        while not done.is_set():
            ticks.append(None)

    thread = threading.Thread(target=tick)
    thread.start()
    started.wait()
    before = len(ticks)
    for _ in range(20):
        packer.pack(tract=tract, patch=patch, band="g")
    after = len(ticks)
    done.set()
    thread.join()
    assert after > before
