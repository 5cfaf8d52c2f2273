"""Every object goes through pickle as what it is."""

import copy
import pickle

import numpy as np
import pytest

import bunter


def goes_round(value):
    return [pickle.loads(pickle.dumps(value, protocol)) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)] + [
        copy.deepcopy(value)
    ]


def objects(butler, first, sky_map):
    reference = butler.find_dataset("calexp", first)
    polygons = sky_map.tract(9813).patch_polygons()
    yield sky_map
    yield polygons
    yield reference
    yield butler.get("calexp.wcs", first)
    yield bunter.Box(1, 2, 3, 4)
    yield butler.query_datasets("calexp")
    yield butler.query_dimension_records("visit_detector")
    yield butler.snapshot()
    yield bunter.Table({})
    yield bunter.Packer.rubin()
    yield bunter.Packer.sky_map("m", 10, 10, ["r"]).with_records()


def test_values(butler, first, sky_map):
    for value in objects(butler, first, sky_map):
        for again in goes_round(value):
            assert again == value and type(again) is type(value), value


def test_tracts_and_patches(sky_map):
    tract = sky_map.tract(9813)
    for again in goes_round(tract):
        assert again.id == 9813 and again.wcs == tract.wcs
    for again in goes_round(tract.patch(42)):
        assert again.outer_bbox == tract.patch(42).outer_bbox and again.tract == 9813


def same_pixels(a, b, names):
    for name in names:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert (a.bbox, a.wcs, a.zero_point, a.metadata, a.mask_planes) == (
        b.bbox,
        b.wcs,
        b.zero_point,
        b.metadata,
        b.mask_planes,
    )


def test_images(butler, first):
    exposure = butler.get("calexp", first, bbox=(3, 4, 20, 10))
    for again in goes_round(exposure):
        same_pixels(again, exposure, ["image", "mask", "variance"])
        assert again.image.flags.writeable
    # Pixels go out of band with protocol 5.
    buffers = []
    short = pickle.dumps(butler.get("calexp", first), 5, buffer_callback=buffers.append)
    assert len(buffers) == 3 and len(short) < 64 * 64 * 4
    row = butler.query_overlaps("sim", dataset_type="calexp", where="band = 'r'")[0]
    coadd = butler.build_coadd("sim", row["tract"], row["patch"], "r")
    for again in goes_round(coadd):
        same_pixels(again, coadd, ["image", "mask", "variance", "n_image", "weight"])
        assert again.inputs == coadd.inputs


@pytest.mark.parametrize("pickle_as", ["address", "snapshot"])
def test_butlers(repository, first, pickle_as):
    butler = bunter.Butler(repository, collections="sim/exposures", run="x", pickle_as=pickle_as)
    data = pickle.dumps(butler)
    assert (len(data) < 500) == (pickle_as == "address")
    again = pickle.loads(data)
    assert again.root == butler.root and again.default_collections == ["sim/exposures"]
    assert again.writeable == (pickle_as == "address") and again.pickle_as == pickle_as
    np.testing.assert_array_equal(again.get("calexp.image", first), butler.get("calexp.image", first))
    assert again.query_datasets("calexp") == butler.query_datasets("calexp")
    overlaps = {"skymap": "sim", "dataset_type": "calexp"}
    assert again.query_overlaps(**overlaps) == butler.query_overlaps(**overlaps)
    # And once more: a butler of a snapshot pickles as the snapshot it has.
    assert pickle.loads(pickle.dumps(again)).query_datasets("calexp") == butler.query_datasets("calexp")


def test_exceptions():
    for name in bunter.__all__:
        kind = getattr(bunter, name)
        if isinstance(kind, type) and issubclass(kind, BaseException):
            again = pickle.loads(pickle.dumps(kind("text")))
            assert type(again) is kind and str(again) == "text" and isinstance(again, bunter.Error)


def test_a_damaged_pickle_is_an_exception(butler):
    state = butler.snapshot().to_bytes()
    for cut in (0, 1, 63, 64, 100, len(state) - 1):
        with pytest.raises(bunter.DamagedError):
            bunter.Snapshot.from_bytes(state[:cut])
