"""One small repository of a simulated survey for all tests; those that write get a copy."""

import shutil

import pytest

import bunter

INSTRUMENT = "SimCam"


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """A repository with two visits in each of two bands, one detector each, and a sky map around them."""
    folder = tmp_path_factory.mktemp("survey")
    files = bunter.simulate(folder / "sim", visits=4, nx=64, ny=64)
    root = folder / "repository"
    butler = bunter.Butler.create(root, run="sim/exposures")
    report = butler.ingest(files)
    assert report["failures"] == [] and report["new"] == 4
    butler.register_sky_map("sim", bunter.SkyMap.from_toml(SKY_MAP))
    return root


SKY_MAP = """
kind = "discrete"
tract_overlap_deg = 0.0
pixel_scale_arcsec = 0.2
ra_deg = [150.1]
dec_deg = [2.2]
radius_deg = [0.005]

[tract_builder]
kind = "legacy"
patch_inner_dimensions = [80, 80]
patch_border = 8
"""


@pytest.fixture(scope="session")
def repository(template):
    """Where the shared repository is; to be read."""
    return template


@pytest.fixture(scope="session")
def butler(repository):
    return bunter.Butler(repository)


@pytest.fixture
def scratch(template, tmp_path):
    """A butler over a copy of the repository, to be written to."""
    shutil.copytree(template, tmp_path / "repository")
    return bunter.Butler(tmp_path / "repository", run="tests/run")


@pytest.fixture(scope="session")
def first(butler):
    """The data ID of the first exposure."""
    row = butler.query_datasets("calexp", order_by=["visit", "detector"], limit=1)[0]
    return {name: row[name] for name in ("instrument", "visit", "detector")}


@pytest.fixture(scope="session")
def sky_map():
    return bunter.SkyMap.preset("hsc_rings_v1")
