"""To the types of other packages, each imported when it is asked for."""

from __future__ import annotations


def _need(module, package, what):
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"{what} needs {package}: `pip install {package}`") from error


def to_arrow(table):
    return _need("pyarrow", "pyarrow", "Table.to_arrow()").table(table)


def to_polars(table):
    return _need("polars", "polars", "Table.to_polars()").DataFrame(table)


def to_pandas(table):
    pandas = _need("pandas", "pandas", "Table.to_pandas()")
    import numpy as np

    columns = {}
    for name, values in table.to_numpy().items():
        if isinstance(values, np.ma.MaskedArray):
            # pandas' own nullable types: integers stay integers.
            kind = "boolean" if values.dtype == bool else values.dtype.name.replace("int", "Int").replace("uI", "UI")
            objects = np.where(np.ma.getmaskarray(values), None, values.data.astype(object))
            columns[name] = pandas.array(objects, dtype=kind)
        else:
            columns[name] = values
    return pandas.DataFrame(columns, index=pandas.RangeIndex(len(table)))


def to_astropy(table):
    astropy = _need("astropy.table", "astropy", "Table.to_astropy()")
    import numpy as np

    result = astropy.Table()
    for name, values in table.to_numpy().items():
        if values.dtype == object and len(values) and all(v is None or isinstance(v, str) for v in values):
            nulls = np.array([v is None for v in values])
            texts = np.array(["" if v is None else v for v in values])
            result[name] = astropy.MaskedColumn(texts, mask=nulls) if nulls.any() else astropy.Column(texts)
        elif isinstance(values, np.ma.MaskedArray):
            result[name] = astropy.MaskedColumn(values)
        else:
            # A copy: astropy's columns may be written to.
            result[name] = astropy.Column(np.array(values))
    return result


def wcs_to_astropy(wcs):
    fits = _need("astropy.io.fits", "astropy", "Wcs.to_astropy()")
    from astropy.wcs import WCS

    header = fits.Header()
    for keyword, value in wcs.to_header().items():
        header[keyword] = value
    return WCS(header)


def patch_of(sky_map, tract, patch):
    return sky_map.tract(tract).patch(patch)


def tracts_of(sky_map):
    return (sky_map.tract(tract) for tract in range(len(sky_map)))


def patches_of(tract):
    return (tract.patch(patch) for patch in range(len(tract)))
