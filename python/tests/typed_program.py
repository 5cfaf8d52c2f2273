"""A user's program, which `mypy --strict` reads and nobody runs: the stubs say what the package gives."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_type

import bunter


def images(butler: bunter.Butler, visit: np.uint32) -> NDArray[np.float32]:
    reference = butler.find_dataset("calexp", {"instrument": "HSC", "visit": visit}, detector=42)
    if reference is None:
        raise bunter.NotFoundError("none")
    exposure = butler.get(reference)
    assert isinstance(exposure, bunter.Exposure)
    assert_type(exposure.bbox, bunter.Box)
    assert_type(exposure.bbox.shape, tuple[int, int])
    assert_type(exposure.wcs, bunter.Wcs)
    stored = butler.store(exposure, "calexp", reference, run="mine")
    assert_type(butler.enter([stored]), int)
    assert_type(butler.file_path("calexp", visit=1), Path)
    return exposure.image


def tables(butler: bunter.Butler) -> NDArray[Any]:
    table = butler.query_datasets("calexp", "HSC/runs", where="band = 'r'", order_by=["visit"], limit=3, tract=4)
    assert_type(table, bunter.Table)
    assert_type(table[0], dict[str, Any])
    assert_type(table[1:], bunter.Table)
    assert_type(butler.query_overlaps("hsc", region=None).to_numpy(), dict[str, NDArray[Any]])
    for row in table:
        assert_type(row, dict[str, Any])
    return table["visit"]


def packing(butler: bunter.Butler, ids: NDArray[np.int64]) -> dict[str, Any]:
    packer = butler.packer("tract,patch,band", skymap="hsc", bands=["g", "r"])
    out = np.empty(len(ids), np.int32)
    packer.unpack(ids, out={"tract": out}, on_error="mask")
    bunter.Packer.sky_map("m", 10, 9, {"r": 1}, room=4).with_records(8)
    return packer.unpack(ids, ["tract"])


def sky(path: Path) -> None:
    sky_map = bunter.SkyMap.open(path)
    assert_type(sky_map.find_tract(1.0, 2.0), int)
    assert_type(sky_map.tract(np.int16(3)).patch("1,2"), bunter.Patch)
    for tract in sky_map:
        assert_type(tract, bunter.Tract)
    left = bunter.Polygons(np.zeros((3, 4)), np.zeros((3, 4))).join(sky_map.tract(3).patch_polygons())
    assert_type(left, dict[str, NDArray[np.uint32]])
    snapshot = bunter.Snapshot.create(bunter.Butler(path, pickle_as="snapshot"), {"calexp": None})
    assert_type(snapshot.to_bytes(), bytes)
    try:
        bunter.Butler.from_snapshot(snapshot)
    except (bunter.DamagedError, LookupError) as error:
        print(error)
