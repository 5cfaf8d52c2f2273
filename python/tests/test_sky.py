"""`SkyMap`, `Polygons`, `Wcs`: numpy in, numpy out."""

import numpy as np
import pytest

import bunter


def test_find_scalars_columns_and_shapes(sky_map):
    assert len(sky_map) == 18938
    assert sky_map.find_tract(150.1, 2.2) == 9813
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(0, 360, (40, 5)), np.degrees(np.arcsin(rng.uniform(-1, 1, (40, 5))))
    found = sky_map.find_patch(ra, dec)
    assert found["tract"].shape == (40, 5) and found["tract"].dtype == np.uint32 and found["inside"].dtype == bool
    np.testing.assert_array_equal(sky_map.find_tract(ra, dec), found["tract"])
    for i in range(0, 40, 7):
        tract = sky_map[found["tract"][i, 2]]
        assert tract.find_patch(ra[i, 2], dec[i, 2]) == found["patch"][i, 2]
        assert tract.patch(found["patch"][i, 2]).index == (found["patch_x"][i, 2], found["patch_y"][i, 2])
    # Strided, other byte order, float32, broadcast.
    np.testing.assert_array_equal(sky_map.find_tract(ra[::2, ::-1], dec[::2, ::-1]), found["tract"][::2, ::-1])
    np.testing.assert_array_equal(sky_map.find_tract(ra.astype(">f8"), np.asfortranarray(dec)), found["tract"])
    assert sky_map.find_tract(np.float32(150.0), [0, 1, 2]).shape == (3,)
    assert sky_map.find_tract([], []).shape == (0,)


def test_quantities(sky_map):
    units = pytest.importorskip("astropy.units")
    coordinates = pytest.importorskip("astropy.coordinates")
    position = coordinates.SkyCoord([150.1, 10.0] * units.deg, [2.2, -5.0] * units.deg)
    expected = sky_map.find_tract([150.1, 10.0], [2.2, -5.0])
    np.testing.assert_array_equal(sky_map.find_tract(position.ra, position.dec), expected)
    np.testing.assert_array_equal(sky_map.find_tract(position.ra.to("rad"), position.dec.to("arcsec")), expected)
    with pytest.raises(bunter.UsageError, match="degrees"):
        sky_map.find_tract(3 * units.m, 2 * units.deg)


@pytest.mark.parametrize(
    ("ra", "dec"),
    [
        (np.nan, 0.0),
        (0.0, np.nan),
        (np.inf, 0.0),
        (0.0, 90.001),
        ([0.0, 1.0], [0.0, -1e300]),
        ([1, 2, 3], [1, 2]),
        ("150", 2),
        (True, 2),
        (1j, 2),
        (None, 2),
        ([[1], [2, 3]], 2),
        (np.ma.MaskedArray([1.0], mask=[True]), [2.0]),
        (object(), 2),
        (2**200, 2),
    ],
)
def test_bad_positions(sky_map, ra, dec):
    for call in (sky_map.find_tract, sky_map.find_patch):
        with pytest.raises(bunter.UsageError):
            call(ra, dec)


def test_a_bad_row_is_named(sky_map):
    dec = np.zeros(100_000)
    dec[77_777] = np.nan
    with pytest.raises(bunter.UsageError, match="row 77777"):
        sky_map.find_tract(np.zeros(100_000), dec)


def test_tracts_and_patches(sky_map):
    tract = sky_map.tract(9813)
    assert tract.id == 9813 and tract.num_patches == (9, 9) and len(tract) == 81
    assert tract.bbox == bunter.Box(0, 0, 36000, 36000)
    assert tract.patch("6,4").id == tract.patch((6, 4)).id == tract.patch(np.uint8(42)).id == 42
    patch = tract.patch(42)
    assert patch.outer_bbox.shape == (4200, 4200) and patch.inner_bbox.shape == (4000, 4000)
    assert patch.vertices.shape == (4, 2)
    boxes = tract.patch_boxes()
    assert boxes["outer"][42].tolist() == list(patch.outer_bbox) and boxes["inner"].shape == (81, 4)
    polygons = tract.patch_polygons()
    ra, dec, offsets = polygons.vertices()
    np.testing.assert_allclose(np.c_[ra, dec][offsets[42] : offsets[43]], patch.vertices)
    # The corners are where the WCS says, half a pixel out of the outermost pixels' centres.
    x, y = tract.wcs.sky_to_pixel(*patch.vertices.T)
    box = patch.outer_bbox
    assert sorted(set(x.round(3))) == [box.x0 - 0.5, box.x0 + box.width - 0.5]
    for bad in (-1, 18938, 2**40, 2**70):
        with pytest.raises(LookupError):
            sky_map.tract(bad) if abs(bad) < 2**63 else sky_map[18938]
    for bad in ("9,9", 81, (0, 9), -1):
        with pytest.raises(bunter.NotFoundError):
            tract.patch(bad)
    for bad in (1.0, True, None):
        with pytest.raises(TypeError):
            sky_map.tract(bad)
    with pytest.raises(bunter.NotFoundError, match="hsc_rings_v1"):
        bunter.SkyMap.preset("hsc_ring_v1")
    with pytest.raises(bunter.UsageError):
        bunter.SkyMap.from_toml("kind = 3")


def test_iteration_ends():
    small = bunter.SkyMap.from_toml(
        'kind = "dodecahedron"\ntracts_on_poles = true\ntract_overlap_deg = 0.1\npixel_scale_arcsec = 10.0\n'
    )
    assert [t.id for t in small] == list(range(12))
    assert [p.id for p in small[3]] == list(range(len(small[3])))


def test_overlaps_against_every_patch(sky_map):
    rng = np.random.default_rng(7)
    tract = sky_map.tract(9813)
    ra0, dec0 = tract.center
    ra = ra0 + rng.uniform(-0.5, 0.5, 30)[:, None] + np.array([0, 0.2, 0.2, 0])
    dec = dec0 + rng.uniform(-0.5, 0.5, 30)[:, None] + np.array([0, 0, 0.1, 0.1])
    detectors = bunter.Polygons(ra, dec)
    found = sky_map.overlaps(detectors)
    got = {(int(p), int(q)) for p, t, q in zip(*found.values(), strict=True) if t == 9813}
    patches = tract.patch_polygons()
    pairs = detectors.join(patches)
    assert got == set(zip(pairs["left"].tolist(), pairs["right"].tolist(), strict=True))
    slow = set()
    for i in range(len(detectors)):
        single = bunter.Polygons(ra[i], dec[i])
        slow |= {(i, int(j)) for j in np.flatnonzero(patches.intersects(single))}
    assert got == slow


def test_polygons_of_csr_and_of_either_direction():
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1.0]])
    triangle = np.array([[5, 0], [6, 0], [5.5, 1.0]])
    flat = np.concatenate([square, triangle])
    for offsets in ([0, 4, 7], np.array([0, 4, 7], np.uint8), np.array([0, 9, 4, 9, 7])[::2]):
        polygons = bunter.Polygons(flat[:, 0], flat[:, 1], offsets)
        assert len(polygons) == 2
    clockwise = bunter.Polygons(square[::-1, 0], square[::-1, 1])
    assert clockwise.area()[0] == pytest.approx(1.0, rel=1e-3)
    assert polygons.contains([0.5, 0.5], [0.5, 0.5]).tolist() == [True, False]
    assert polygons.contains(5.5, 0.5).tolist() == [False, True]
    assert polygons.contains_polygons(polygons).all() and polygons.intersects(clockwise).tolist() == [True, False]


@pytest.mark.parametrize(
    ("ra", "dec", "offsets"),
    [
        ([0, 1, 1], [0, 0, np.nan], None),
        ([0, 1, 1], [0, 0, 91], None),
        ([0, 1], [0, 0], None),
        ([0, 1, 2], [0, 0, 0], None),
        ([0, 1, 1, 0], [0, 1, 0, 1], None),
        (np.zeros((2, 3)), np.zeros((2, 3)), None),
        ([0, 1, 1], [0, 0], None),
        ([0, 1, 1], [0, 0, 1], [0, 4]),
        ([0, 1, 1], [0, 0, 1], [0, -1, 3]),
        ([0, 1, 1], [0, 0, 1], [1, 3]),
        ([0, 1, 1], [0, 0, 1], [0, 3, 2, 3]),
        ([0, 1, 1], [0, 0, 1], []),
        ([0, 1, 1], [0, 0, 1], [0.0, 3.0]),
        ([0, 1, 1], [0, 0, 1], [0, 2**63]),
        ([0, 1, 1], [0, 0, 1], [[0, 3]]),
        (np.zeros((2, 2, 2)), np.zeros((2, 2, 2)), None),
        (["a"], ["b"], None),
    ],
)
def test_bad_polygons(ra, dec, offsets):
    with pytest.raises(bunter.UsageError):
        bunter.Polygons(ra, dec, offsets)


def test_bad_partners():
    one = bunter.Polygons([0, 1, 1.0], [0, 0, 1.0])
    three = bunter.Polygons([[0, 1, 1.0]] * 3, [[0, 0, 1.0]] * 3)
    two = bunter.Polygons([[0, 1, 1.0]] * 2, [[0, 0, 1.0]] * 2)
    assert three.intersects(one).all()
    with pytest.raises(bunter.UsageError):
        three.intersects(two)
    with pytest.raises(bunter.UsageError):
        three.contains([1, 2], [1, 2])
    with pytest.raises(bunter.UsageError):
        three.contains(np.nan, 0)
    with pytest.raises(TypeError):
        three.join("nothing")


def test_wcs_agrees_with_astropy(butler, first):
    pytest.importorskip("astropy")
    wcs = butler.get("calexp.wcs", first)
    reference = wcs.to_astropy()
    y, x = np.mgrid[0:64:7, 0:64:5].astype(float)
    ra, dec = wcs.pixel_to_sky(x, y)
    theirs = reference.all_pix2world(x.ravel(), y.ravel(), 0)
    np.testing.assert_allclose(np.c_[ra.ravel(), dec.ravel()], np.transpose(theirs), rtol=0, atol=1e-10)
    back = wcs.sky_to_pixel(ra, dec)
    np.testing.assert_allclose(back[0], x, atol=1e-7)
    np.testing.assert_allclose(back[1], y, atol=1e-7)
    assert wcs.pixel_scale() == pytest.approx(0.2, rel=0.05)
    assert bunter.Wcs(reference.to_header(relax=True)).pixel_to_sky(3, 4)[0] == pytest.approx(
        wcs.pixel_to_sky(3, 4)[0], abs=1e-9
    )
    assert bunter.Wcs(wcs.to_header()) == wcs
    away = wcs.sky_to_pixel(330.0, -2.0)
    assert np.isnan(away[0]) and isinstance(away[0], float)


@pytest.mark.parametrize(
    "header", [{}, {"CTYPE1": 3}, 3, "text", [1, 2], {"CTYPE1": object()}, [("A", 1, "", 4)], {3: 4}]
)
def test_bad_headers(header):
    with pytest.raises(bunter.UsageError):
        bunter.Wcs(header)


def test_sky_map_shows_itself(sky_map):
    assert "18938" in sky_map._repr_html_() and "rings" in repr(sky_map)
