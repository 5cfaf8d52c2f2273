"""`Butler`: get, put, queries, and what it refuses."""

import pickle
import threading
import traceback

import numpy as np
import pytest

import bunter

INTEGERS = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64, np.intp]


def test_get_gives_arrays_of_the_right_types(butler, first):
    exposure = butler.get("calexp", first)
    assert exposure.image.shape == exposure.mask.shape == exposure.variance.shape == exposure.bbox.shape == (64, 64)
    assert (exposure.image.dtype, exposure.mask.dtype, exposure.variance.dtype) == (np.float32, np.int32, np.float32)
    assert np.isfinite(exposure.image).mean() > 0.9
    assert exposure.zero_point > 0
    assert exposure.mask_planes["BAD"] == 0
    assert isinstance(exposure.metadata, dict)
    # Moved, not copied, and the same each time.
    assert exposure.image is exposure.image
    assert exposure.image.flags.writeable and exposure.image.flags.owndata is not None


def test_components_and_boxes(butler, first):
    whole = butler.get("calexp", first)
    np.testing.assert_array_equal(butler.get("calexp.image", first), whole.image)
    np.testing.assert_array_equal(butler.get("calexp", first, component="mask"), whole.mask)
    box = bunter.Box(10, 20, 8, 4)
    part = butler.get("calexp.image", bbox=box, **first)
    np.testing.assert_array_equal(part, whole.image[20:24, 10:18])
    subset = butler.get("calexp", first, bbox=[10, np.int16(20), np.uint8(8), 4])
    assert subset.bbox == box
    np.testing.assert_array_equal(subset.variance, whole.variance[box.slices()])
    assert butler.get("calexp.wcs", first) == whole.wcs
    assert butler.get("calexp.bbox", first) == bunter.Box(0, 0, 64, 64)
    assert butler.get("calexp.zero_point", first) == whole.zero_point


@pytest.mark.parametrize("kind", INTEGERS)
def test_integers_of_every_type_name_data(butler, first, kind):
    value = kind(first["detector"])
    assert butler.find_dataset("calexp", {**first, "detector": value}) == butler.find_dataset("calexp", first)
    assert butler.exists("calexp", first, detector=np.array(value))


@pytest.mark.parametrize("bad", [True, np.True_, 0.0, np.float32(0), "0", b"0", None, [0], np.array([0]), 1j, object()])
def test_what_is_no_integer_is_refused(butler, first, bad):
    with pytest.raises(bunter.WrongTypeError, match="`detector` is a whole number"):
        butler.get("calexp", {**first, "detector": bad})


@pytest.mark.parametrize("bad", [3, np.int64(3), b"SimCam", None, True])
def test_what_is_no_text_is_refused(butler, first, bad):
    with pytest.raises(TypeError, match="`instrument` is a text"):
        butler.get("calexp", {**first, "instrument": bad})


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**30, np.uint64(2**64 - 1)])
def test_integers_beyond_64_bits_are_refused(butler, first, value):
    with pytest.raises(bunter.UsageError, match="does not fit into 64 bits"):
        butler.get("calexp", first, visit=value)


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), -1])
def test_integers_that_name_nothing(butler, first, value):
    with pytest.raises(bunter.NotFoundError, match="no `calexp` with data ID"):
        butler.get("calexp", first, visit=value)
    assert butler.find_dataset("calexp", first, visit=value) is None


def test_errors_have_classes_and_say_what_is_near(butler, first, tmp_path):
    with pytest.raises(bunter.NotFoundError, match="calexp"):
        butler.get("calxp", first)
    with pytest.raises(LookupError):
        bunter.Butler(tmp_path)
    with pytest.raises(bunter.UsageError, match="did you mean"):
        butler.get("calexp", first, vist=1)
    with pytest.raises(bunter.UsageError, match="component"):
        butler.get("calexp.imge", first)
    with pytest.raises(bunter.UsageError, match="not inside the image"):
        butler.get("calexp.image", first, bbox=(60, 60, 8, 8))
    with pytest.raises(ValueError, match="http"):
        bunter.Butler("http://example.org/repository")
    with pytest.raises(bunter.NotFoundError):
        butler.query_datasets("calexp", "no/such/run")
    with pytest.raises(bunter.UsageError):
        butler.query_datasets("calexp", where="visit ==== 3")
    with pytest.raises(TypeError):
        bunter.Butler(3)
    with pytest.raises(bunter.UsageError, match="pickle_as"):
        bunter.Butler(butler.root, pickle_as="nothing")
    assert issubclass(bunter.StorageError, OSError) and issubclass(bunter.WrongTypeError, bunter.UsageError)


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 0, 4),
        (0, 0, -1, 4),
        (0, 0, 4),
        "1234",
        5,
        (0.0, 0, 4, 4),
        (2**31, 0, 1, 1),
        (0, 0, 2**40, 1),
        (True, 0, 1, 1),
    ],
)
def test_bad_boxes(butler, first, box):
    with pytest.raises(bunter.UsageError):
        butler.get("calexp.image", first, bbox=box)


@pytest.mark.parametrize("data_id", [3, "visit=3", [("visit", 3)], {3: 4}])
def test_bad_data_ids(butler, data_id):
    with pytest.raises(bunter.WrongTypeError):
        butler.get("calexp", data_id)


def test_open_by_url(butler, tmp_path):
    assert bunter.Butler(f"file://{butler.root}").root == butler.root
    assert bunter.Butler(f"file://localhost{butler.root}").root == butler.root
    spaced = tmp_path / "a repository"
    spaced.symlink_to(butler.root)
    assert bunter.Butler(spaced.as_uri()).root == spaced
    with pytest.raises(bunter.Error, match="postgresql://"):
        bunter.Butler("postgresql://127.0.0.1:1/none")


def test_tracebacks_carry_the_librarys_texts(butler, first, tmp_path):
    """The exact text: what, where, the near miss."""

    def text(call):
        with pytest.raises(bunter.Error) as caught:
            call()
        last = traceback.format_exception_only(caught.value)[-1].strip()
        kind, _, text = last.partition(": ")
        assert kind == f"bunter.{type(caught.value).__name__}" or kind.startswith("bunter.exceptions.")
        return text

    assert text(lambda: bunter.Butler(tmp_path)).startswith(f"{tmp_path} is not a repository")
    assert "`visit` is a whole number, not 1.5 (float)" in text(lambda: butler.get("calexp", first, visit=1.5))
    assert "did you mean `visit`?" in text(lambda: butler.get("calexp", first, vist=1))
    assert "(60, 60)" in text(lambda: butler.get("calexp.image", first, bbox=(60, 60, 8, 8)))
    packer = bunter.Packer.sky_map("m", 10, 9, ["r"])
    assert "did you mean `tract`?" in text(lambda: packer.pack(trakt=1, patch=2, band="r"))
    assert text(lambda: packer.pack(tract=10, patch=2, band="r")).startswith("`tract` is 10, expected 0 to 9")


def test_queries(butler):
    table = butler.query_datasets("calexp")
    assert len(table) == 4
    assert {"id", "run", "visit", "detector", "instrument", "band"} <= set(table.column_names)
    visits = butler.query_datasets("calexp", order_by="-visit")["visit"]
    assert list(visits) == sorted(visits, reverse=True)
    assert len(butler.query_datasets("calexp", limit=np.int32(3))) == 3
    assert set(butler.query_datasets("calexp", band="r")["band"]) == {"r"}
    assert len(butler.query_datasets("calexp", visit=int(visits[0]))) == 1
    records = butler.query_dimension_records("visit", where="band = 'r'")
    assert len(records) == 2 and "exposure_time" in records
    ids = butler.query_data_ids(["visit", "detector"])
    assert len(ids) == 4
    assert [t["name"] for t in butler.query_dataset_types()] == ["calexp", "deepCoadd"]
    assert any(c["name"] == "sim/exposures" and c["type"] == "RUN" for c in butler.query_collections())
    with pytest.raises(bunter.UsageError):
        butler.query_datasets("calexp", limit=-1)
    with pytest.raises(bunter.WrongTypeError):
        butler.query_datasets("calexp", limit=1.5)


def test_overlaps_are_those_of_the_sky_map(butler):
    overlaps = butler.query_overlaps("sim", dataset_type="calexp")
    assert len(overlaps) > 0
    table = overlaps.to_numpy()
    # The slow way: the corners of each image against each patch.
    sky_map = butler.sky_map("sim")
    expected = set()
    for row in butler.query_datasets("calexp"):
        exposure = butler.get("calexp", {k: row[k] for k in ("instrument", "visit", "detector")})
        footprint = bunter.Polygons(*exposure.wcs.corners(exposure.bbox))
        found = sky_map.overlaps(footprint)
        expected |= {(row["visit"], int(t), int(p)) for t, p in zip(found["tract"], found["patch"], strict=True)}
    got = set(zip(table["visit"].tolist(), table["tract"].tolist(), table["patch"].tolist(), strict=True))
    assert got == expected
    assert len(butler.query_overlaps("sim", where="band = 'r'")) < len(overlaps)


def test_put_and_get(scratch, first):
    exposure = scratch.get("calexp", first)
    exposure.image[0, 0] = 42.0
    with pytest.raises(bunter.UsageError, match="run"):
        bunter.Butler(scratch.root).put(exposure, "calexp", first)
    reference = scratch.put(exposure, "calexp", first)
    assert reference.run == "tests/run" and reference.data_id == first
    again = scratch.get(reference)
    np.testing.assert_array_equal(again.image, exposure.image)
    np.testing.assert_array_equal(again.mask, exposure.mask)
    assert again.wcs == exposure.wcs
    assert scratch.get("calexp.image", first, collections="tests/run")[0, 0] == 42.0
    assert scratch.get("calexp.image", first, collections=["sim/exposures", "tests/run"])[0, 0] != 42.0
    with pytest.raises(bunter.ConflictError):
        scratch.put(exposure, "calexp", first)
    assert scratch.file_path("calexp", first, collections="tests/run").is_file()


def test_put_of_tables_and_documents(scratch, first):
    scratch.register_dataset_type("sources", ["visit", "detector"], "Table")
    scratch.register_dataset_type("metrics", ["visit"], "Json")
    columns = {"x": np.arange(5.0), "n": np.arange(5, dtype=np.uint8)}
    scratch.put(columns, "sources", first)
    table = scratch.get("sources", first)
    np.testing.assert_array_equal(table["x"], columns["x"])
    visit = {k: first[k] for k in ("instrument", "visit")}
    document = {"psf": {"fwhm": 0.7}, "flags": [1, None, "a", True]}
    scratch.put(document, "metrics", visit)
    assert scratch.get("metrics", visit) == document
    with pytest.raises(bunter.WrongTypeError, match="JSON"):
        scratch.put({"x": float("nan")}, "metrics", visit, run="other")
    with pytest.raises(bunter.WrongTypeError):
        scratch.put([1, 2], "calexp", first, run="other")
    with pytest.raises(bunter.UsageError, match="storage class"):
        scratch.register_dataset_type("x", ["visit"], "Pickle")


def test_store_and_enter(scratch, first):
    exposure = scratch.get("calexp", first)
    offline = bunter.Butler.from_snapshot(scratch.snapshot())
    assert not offline.writeable
    with pytest.raises(bunter.ReadOnlyError):
        offline.put(exposure, "calexp", first, run="tests/run")
    stored = offline.store(exposure, "calexp", first, run="tests/run")
    assert stored.size > 0 and pickle.loads(pickle.dumps(stored)) == stored
    assert not scratch.exists("calexp", first, collections="sim/exposures", visit=1)
    assert scratch.enter([stored]) == 1
    assert scratch.enter([stored]) == 0
    assert scratch.get(stored.ref).bbox == exposure.bbox
    with pytest.raises(bunter.WrongTypeError):
        scratch.enter(["nothing"])


def test_ingest_reports_what_fails(scratch, tmp_path):
    (tmp_path / "bad.fits").write_bytes(b"SIMPLE but not FITS")
    report = scratch.ingest([tmp_path / "bad.fits"])
    assert report["new"] == 0 and len(report["failures"]) == 1
    with pytest.raises(bunter.UsageError, match="transfer"):
        scratch.ingest([tmp_path], transfer="teleport")


def test_coadd(butler):
    row = butler.query_overlaps("sim", dataset_type="calexp", where="band = 'r'")[0]
    coadd = butler.build_coadd("sim", row["tract"], np.int16(row["patch"]), "r")
    assert coadd.image.shape == coadd.bbox.shape
    assert coadd.n_image.dtype == np.uint16 and coadd.n_image.max() >= 1
    assert len(coadd.inputs) >= 1
    assert np.isnan(coadd.image[coadd.n_image == 0]).all()
    with pytest.raises(bunter.NotFoundError):
        butler.build_coadd("sim", row["tract"], row["patch"], "z")
    with pytest.raises(bunter.UsageError, match="no field"):
        butler.build_coadd("sim", row["tract"], row["patch"], "r", config={"kernl": "lanczos3"})
    for tract in (-1, 10**6, 2**70):
        with pytest.raises(bunter.Error):
            butler.build_coadd("sim", tract, 0, "r")


def test_threads_share_a_butler(butler, first):
    results, errors = [], []

    def work():
        try:
            for _ in range(10):
                results.append(float(np.nansum(butler.get("calexp.image", first))))
                butler.query_datasets("calexp", visit=first["visit"])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [] and len(set(results)) == 1 and len(results) == 80


def test_a_file_that_is_gone_or_damaged(scratch, first):
    path = scratch.file_path("calexp", first)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(bunter.Error) as caught:
        scratch.get("calexp", first)
    assert str(path.name) in str(caught.value)
    path.unlink()
    with pytest.raises(bunter.Error):
        scratch.get("calexp", first)
