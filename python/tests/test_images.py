"""`Exposure`: made of arrays."""

import numpy as np
import pytest

import bunter


@pytest.fixture(scope="module")
def wcs(sky_map):
    return sky_map.tract(9813).wcs


def test_made_of_arrays(wcs):
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    exposure = bunter.Exposure(image, wcs, 27)
    assert exposure.image is image or np.shares_memory(exposure.image, image)
    assert not exposure.mask.any() and np.isnan(exposure.variance).all()
    assert exposure.bbox == bunter.Box(0, 0, 4, 3)
    other = bunter.Exposure(
        image.T.astype(">f8"), wcs.to_header(), 27.0, mask=np.ones((4, 3), np.uint8), variance=image.T,
        bbox=(5, -6, 3, 4), mask_planes={"BAD": 0, "MINE": np.int8(9)},
        metadata={"A": 1, "B": np.float32(0.5), "C": "text", "D": True, "E": None, "F": np.bool_(False)},
    )  # fmt: skip
    assert other.mask.dtype == np.int32 and other.image.dtype == np.float32
    assert other.mask_planes == {"BAD": 0, "MINE": 9}
    assert other.metadata == {"A": 1, "B": 0.5, "C": "text", "D": True, "E": None, "F": False}


def test_astropy_headers_and_wcs(wcs):
    fits = pytest.importorskip("astropy.io.fits")
    header = fits.Header([("EXPTIME", 30.0, "seconds"), ("HISTORY", "none of it"), ("FILTER", "r")])
    exposure = bunter.Exposure(np.zeros((2, 2)), wcs.to_astropy(), 27.0, metadata=header)
    assert exposure.metadata == {"EXPTIME": 30.0, "FILTER": "r"}
    x, y = exposure.wcs.sky_to_pixel(*wcs.pixel_to_sky(100.0, 200.0))
    assert (x, y) == (pytest.approx(100.0, abs=1e-6), pytest.approx(200.0, abs=1e-6))


IMAGE = np.zeros((3, 4), np.float32)


@pytest.mark.parametrize(
    "change",
    [
        {"image": np.zeros(3)},
        {"image": np.zeros((0, 4))},
        {"image": np.zeros((3, 4), complex)},
        {"image": np.zeros((3, 4), bool)},
        {"image": "text"},
        {"image": np.ma.MaskedArray(IMAGE, mask=True)},
        {"mask": np.zeros((3, 5), int)},
        {"mask": np.zeros((3, 4))},
        {"mask": np.full((3, 4), 2**40)},
        {"mask": np.full((3, 4), 2**32 - 1, np.uint32)},
        {"variance": np.zeros((4, 3))},
        {"bbox": (0, 0, 3, 4)},
        {"mask_planes": {"BAD": 31}},
        {"mask_planes": {"BAD": -1}},
        {"mask_planes": {3: 1}},
        {"mask_planes": ["BAD"]},
        {"metadata": {"A": object()}},
        {"metadata": {"A": 2**70}},
        {"metadata": 3},
        {"wcs": {}},
    ],
)
def test_what_makes_no_exposure(wcs, change):
    arguments = {"image": IMAGE, "wcs": wcs, "zero_point": 27.0} | change
    with pytest.raises(bunter.UsageError):
        bunter.Exposure(**arguments)


def test_snapshots(butler, first, tmp_path):
    snapshot = butler.snapshot({"calexp": "band = 'r'"})
    offline = bunter.Butler.from_snapshot(snapshot)
    assert len(offline.query_datasets("calexp")) == 2
    assert snapshot.properties["repository"] == str(butler.root) and "calexp" in " ".join(snapshot.table_names)
    snapshot.verify()
    snapshot.write(tmp_path / "s.bnt")
    again = bunter.Snapshot.open(tmp_path / "s.bnt")
    assert again == snapshot and again.nbytes == len(snapshot.to_bytes())
    assert len(again.table(again.table_names[0])) >= 0
    assert [p.name for p in tmp_path.iterdir()] == ["s.bnt"]
    with pytest.raises(bunter.NotFoundError):
        snapshot.table("nothing")
    with pytest.raises(bunter.StorageError):
        bunter.Snapshot.open(tmp_path / "absent.bnt")
    with pytest.raises(OSError):
        snapshot.write(tmp_path / "no" / "folder" / "s.bnt")
    with pytest.raises(bunter.UsageError):
        bunter.Snapshot.from_bytes("text")
    with pytest.raises(bunter.NotFoundError):
        butler.snapshot(["calxp"])
    with pytest.raises(bunter.UsageError):
        butler.snapshot({"calexp": "visit ="})
    with pytest.raises(bunter.WrongTypeError):
        butler.snapshot({"calexp": 3})
    flipped = bytearray(snapshot.to_bytes())
    flipped[-1] ^= 255
    with pytest.raises(bunter.DamagedError):
        bunter.Snapshot.from_bytes(bytes(flipped)).verify()
