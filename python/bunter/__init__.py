"""Bunter: a data butler for survey astronomy on batch clusters.

What exists, where it is on the sky, and its bytes as arrays:

* `Butler` opens a repository: `get`, `put`, queries that answer as a `Table`.
* `SkyMap` cuts the sky into tracts and patches; `Polygons` are columns of footprints.
* `Packer` makes integers of data IDs and back, over whole columns.
* `Snapshot` is a registry in one message. Every object pickles, so that `mpi4py` can send it.

The arithmetic is Rust, on all cores and without the interpreter's lock; arrays are numpy's, in and out.
"""

from ._box import Box
from ._bunter import (
    Butler,
    Coadd,
    DatasetRef,
    Exposure,
    Packer,
    Patch,
    Polygons,
    SkyMap,
    Snapshot,
    StoredDataset,
    Table,
    Tract,
    Wcs,
    __version__,
    dimensions,
    simulate,
)
from .exceptions import (
    ConflictError,
    DamagedError,
    Error,
    InternalError,
    NotFoundError,
    ReadOnlyError,
    StorageError,
    UsageError,
    WrongTypeError,
)

__all__ = [
    "Box",
    "Butler",
    "Coadd",
    "ConflictError",
    "DamagedError",
    "DatasetRef",
    "Error",
    "Exposure",
    "InternalError",
    "NotFoundError",
    "Packer",
    "Patch",
    "Polygons",
    "ReadOnlyError",
    "SkyMap",
    "Snapshot",
    "StorageError",
    "StoredDataset",
    "Table",
    "Tract",
    "UsageError",
    "Wcs",
    "WrongTypeError",
    "__version__",
    "dimensions",
    "simulate",
]
