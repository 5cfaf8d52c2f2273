"""Packed data IDs equal those of the reference implementation, row by row: the numbers of `tests/golden/packers`."""

import csv
import gzip
import pathlib

import numpy as np
import pytest

import bunter

GOLDEN = pathlib.Path(__file__).parents[2] / "tests" / "golden" / "packers"

pytestmark = pytest.mark.skipif(not GOLDEN.is_dir(), reason="no tests/golden/packers: the tests run outside of a clone")

UGRIZY = ["u", "g", "r", "i", "z", "y"]
BANDS = {
    "none": {},
    "fixed_1band": {"bands": ["r"]},
    "ugrizy_6": {"bands": UGRIZY},
    "ugrizy_reserve8": {"bands": UGRIZY, "room": 8},
    "default_all": {"bands": True},
}
NUMBERS = {"hsc_rings_v1": (18938, 81), "lsst_cells_v1": (18938, 100)}


def golden(name, *by):
    """The rows of a file, of equal values of some columns together: lists by column name."""
    groups = {}
    with gzip.open(GOLDEN / f"{name}.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            groups.setdefault(tuple(row[b] for b in by), []).append(row)
    for key, rows in groups.items():
        yield *key, {name: [row[name] for row in rows] for name in rows[0]}


def ints(values, dtype=np.int64):
    return np.array([int(v) for v in values], dtype)


def agrees(packer, columns, packed, constants):
    """Both ways, as columns and one by one; `constants` is what the packer adds."""
    packed = ints(packed, np.uint64)
    np.testing.assert_array_equal(packer.pack(columns), packed)
    unpacked = packer.unpack(packed, list(columns))
    for name, values in columns.items():
        np.testing.assert_array_equal(unpacked[name], values, err_msg=name)
    for row, one in enumerate(packed.tolist()):
        data_id = {name: values[row] for name, values in columns.items()}
        assert packer.pack(data_id) == one
        assert packer.unpack(one) == data_id | constants
    return len(packed)


def test_sky_maps():
    rows = 0
    groups = golden("skymap_packer", "skymap", "n_tracts", "n_patches", "band_mode", "max_bits")
    for skymap, tracts, patches, mode, bits, group in groups:
        packer = bunter.Packer.sky_map(skymap, int(tracts), int(patches), **BANDS[mode])
        assert packer.bits == int(bits)
        columns = {"tract": ints(group["tract"], np.uint32), "patch": ints(group["patch"], np.int16)}
        if mode != "none":
            columns["band"] = np.array(group["band"])
        rows += agrees(packer, columns, group["packed"], {"skymap": skymap})
    assert rows == 375


def test_observations():
    rows = 0
    groups = golden("observation_packer", "instrument", "kind", "n_detectors", "n_observations", "max_bits")
    for instrument, kind, detectors, observations, bits, group in groups:
        packer = bunter.Packer.observation(instrument, int(detectors), int(observations), kind)
        assert packer.bits == int(bits)
        columns = {kind: ints(group["observation"]), "detector": ints(group["detector"], np.uint16)}
        rows += agrees(packer, columns, group["packed"], {"instrument": instrument})
    assert rows == 240


def test_rubin():
    rows = 0
    for config, bits, group in golden("rubin_packer", "config", "max_bits"):
        packer = bunter.Packer.rubin("LSSTCam", all_controllers=config == "use_controllers")
        assert packer.bits == int(bits)
        packed = ints(group["packed"], np.uint64)
        columns = {name: ints(group[name]) for name in ("day_obs", "seq_num", "detector", "one_to_one")}
        columns["controller"] = np.array(group["controller"])
        np.testing.assert_array_equal(packer.pack(columns), packed)
        unpacked = packer.unpack(packed, [*columns, "exposure", "visit"])
        for name, values in columns.items():
            np.testing.assert_array_equal(unpacked[name], values, err_msg=name)
        np.testing.assert_array_equal(unpacked["exposure"], ints(group["exposure_id"]))
        # The reference gives no visit for some rows.
        known = np.array([visit != "" for visit in group["visit_id"]])
        visits = ints(visit for visit in group["visit_id"] if visit)
        np.testing.assert_array_equal(unpacked["visit"][known], visits)
        by_visit = packer.pack(visit=visits, detector=columns["detector"][known])
        np.testing.assert_array_equal(by_visit, packed[known])
        rows += len(packed)
    assert rows == 160


def packer_of(name, bits, kind):
    family, _, rest = name.partition(":")
    if family == "skymap":
        skymap, mode = rest.split(":")
        return bunter.Packer.sky_map(skymap, *NUMBERS.get(skymap, (18938, 49)), **BANDS[mode])
    if family == "obs":
        detectors, observations = {"HSC": (200, 21_474_800), "DECam": (100, 2**25)}.get(rest, (1000, 100_000_000))
        return bunter.Packer.observation(rest, detectors, observations, kind)
    return bunter.Packer.rubin("LSSTCam", all_controllers=bits != "38")


def value(text):
    return int(text) if text.lstrip("-").isdigit() else text


def test_records():
    rows = 0
    for name, bits, releases, group in golden("id_generator", "packer", "max_bits", "n_releases"):
        for i, text in enumerate(group["data_id"]):
            data_id = {k: value(v) for k, v in (pair.split("=") for pair in text.split(";"))}
            inner = packer_of(name, bits, "exposure" if "exposure" in data_id else "visit")
            assert inner.pack(data_id) == int(group["packed"][i])
            if int(releases) > 1:
                data_id["release"] = int(group["release_id"][i])
            assert inner.with_releases(int(releases)).pack(data_id) == int(group["catalog_id"][i])
            records = inner.with_records(int(releases))
            counters = np.array([int(group["counter"][i]), 0], np.uint32)
            ids = records.pack(data_id, counter=counters)
            assert ids[0] == int(group["record_id"][i]) and records.bits == 63
            back = records.unpack(ids.astype(np.int64), [*data_id, "counter"])
            np.testing.assert_array_equal(back.pop("counter"), counters)
            assert {k: v[0] for k, v in back.items()} == data_id
            rows += 1
    assert rows == 524


def test_specifications_name_the_same_packers():
    of = bunter.Packer.of
    assert of("skymap:hsc_rings_v1") == bunter.SkyMap.preset("hsc_rings_v1").packer("hsc_rings_v1")
    assert of("observation:HSC").pack(visit=1228, detector=42) == 42 + 200 * 1228
    assert of("rubin:LSSTCam") == bunter.Packer.rubin()
    assert of("rubin:LSSTCam,controllers=all") == bunter.Packer.rubin(all_controllers=True)
    assert of("record:rubin:LSSTCam") == bunter.Packer.rubin().with_records()
    with pytest.raises(bunter.Error, match="hsc_rings_v1"):
        of("skymap:hsc_ring_v1")
    with pytest.raises(bunter.UsageError):
        of("nothing")
