"""Under `mpirun`: objects cross `bcast`, and the example builds coadds."""

import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("mpi4py")
MPIRUN = shutil.which("mpirun")
EXAMPLE = pathlib.Path(__file__).parents[1] / "examples" / "coadd_mpi.py"

pytestmark = pytest.mark.skipif(MPIRUN is None, reason="no mpirun")

BCAST = """
import sys
import bunter
import numpy as np
from mpi4py import MPI

world = MPI.COMM_WORLD
values = None
if world.rank == 0:
    values = [bunter.Butler(sys.argv[1], pickle_as=how) for how in ("address", "snapshot")]
    butler = values[0]
    first = butler.query_datasets("calexp", limit=1)[0]
    id = {name: first[name] for name in ("instrument", "visit", "detector")}
    sky_map = butler.sky_map("sim")
    values += [id, butler.get("calexp", id), sky_map, butler.packer("tract,patch"), butler.snapshot()]
    values.append(butler.query_datasets("calexp"))
address, snapshot, id, exposure, sky_map, packer, tables, datasets = world.bcast(values)
for butler in (address, snapshot):
    np.testing.assert_array_equal(butler.get("calexp.image", id), exposure.image)
    assert butler.query_datasets("calexp") == datasets
    assert butler.sky_map("sim") == sky_map
assert bunter.Butler.from_snapshot(tables).query_datasets("calexp") == datasets
# What comes by `bcast` went through pickle, on the rank that sent it too.
assert address.writeable and not snapshot.writeable
assert packer.unpack(packer.pack(tract=0, patch=world.rank))["patch"] == world.rank
total = world.allreduce(float(np.nansum(exposure.image)))
assert total == world.size * float(np.nansum(exposure.image))
if world.rank == 0:
    print("whole", world.size)
"""


def mpirun(ranks, *arguments):
    environment = os.environ | {
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
        "OMPI_MCA_mpi_yield_when_idle": "1",
        "RAYON_NUM_THREADS": "1",
    }
    return subprocess.run(
        # `-m mpi4py` ends the job when one rank fails.
        [MPIRUN, "-n", str(ranks), sys.executable, "-m", "mpi4py", *map(str, arguments)],
        env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_objects_cross_bcast(repository, tmp_path):
    script = tmp_path / "bcast.py"
    script.write_text(BCAST)
    result = mpirun(3, script, repository)
    assert result.returncode == 0, result.stderr
    assert "whole 3" in result.stdout


def test_the_example_builds_coadds(scratch):
    result = mpirun(3, EXAMPLE, scratch.root, "sim", "--output", "coadds/mpi")
    assert result.returncode == 0, result.stderr
    coadds = scratch.query_datasets("deepCoadd", "coadds/mpi")
    overlaps = scratch.query_overlaps("sim", dataset_type="calexp", dimensions=["tract", "patch", "band"])
    assert 0 < len(coadds) <= len(overlaps)
    assert f"{len(coadds)} coadds in coadds/mpi" in result.stdout
    # The same pixels as one process makes.
    for row in coadds:
        id = {name: row[name] for name in ("skymap", "tract", "patch", "band")}
        alone = scratch.build_coadd(**id, collections="sim/exposures")
        np.testing.assert_array_equal(scratch.get("deepCoadd.image", id, collections="coadds/mpi"), alone.image)


def test_a_failing_rank_ends_the_job(tmp_path):
    result = mpirun(2, EXAMPLE, tmp_path, "sim", "--output", "x")
    assert result.returncode != 0 and "is not a repository" in result.stderr


def test_mpi_is_left_to_mpi4py():
    """Importing bunter initialises nothing, and links no MPI."""
    code = "import bunter, mpi4py; mpi4py.rc.initialize = False; from mpi4py import MPI; print(MPI.Is_initialized())"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert result.stdout.strip() == "False", result.stderr
