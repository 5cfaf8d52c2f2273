"""The packer of `lsst-pipe-base` over `lsst-daf-butler` data IDs (both from PyPI), for the record: one JSON object to standard output.

    python3 benches/peers/pack_daf.py ROWS
"""

import importlib.metadata
import json
import sys
import time

from lsst.daf.butler import DataCoordinate, DimensionUniverse
from lsst.pipe.base import ObservationDimensionPacker
from lsst.pipe.base._observation_dimension_packer import ObservationDimensionPackerConfig


def main():
    rows = int(sys.argv[1])
    universe = DimensionUniverse()
    record = universe["instrument"].RecordClass(
        name="HSC", class_name="x", detector_max=200, visit_max=21474800, exposure_max=21474800, visit_system=0
    )
    fixed = DataCoordinate.standardize(instrument="HSC", universe=universe).expanded({"instrument": record})
    packer = ObservationDimensionPacker(fixed, ObservationDimensionPackerConfig(), is_exposure=False)
    group = universe.conform(["visit", "detector"])
    data_ids = [
        DataCoordinate.standardize(instrument="HSC", visit=1 + i, detector=i % 103, dimensions=group) for i in range(rows)
    ]
    start = time.process_time()
    packed = [packer.pack(data_id) for data_id in data_ids]
    pack = time.process_time() - start
    start = time.process_time()
    unpacked = [packer.unpack(value) for value in packed]
    unpack = time.process_time() - start
    assert unpacked == data_ids
    version = importlib.metadata.version("lsst-daf-butler")
    print(json.dumps({"daf_butler": version, "pack": rows / pack / 1e6, "unpack": rows / unpack / 1e6}))


main()
