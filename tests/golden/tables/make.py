"""Makes the golden tables: what astropy and h5py write, and what they read of it.

    python make.py          writes astropy.fits.gz and h5py.h5.gz into this folder
    python make.py FILE...  checks tables that Bunter wrote of `expected()` (FITS by astropy, HDF5 by h5py)

Made with astropy 8.0.2, h5py 3.16.0 and numpy 2.4.6.
"""

import gzip
import io
import sys

import h5py
import numpy as np
from astropy.io import fits


def bintable():
    n = 4
    columns = [
        fits.Column("flag", "L", array=np.array([True, False, True, False])),
        fits.Column("bits", "11X", array=np.array([[(i * 7 + k) % 3 == 0 for k in range(11)] for i in range(n)])),
        fits.Column("byte", "B", null=255, array=np.array([0, 255, 7, 254], np.uint8)),
        fits.Column("signed", "B", bzero=-128, array=np.array([-128, 127, 0, -1], np.int8)),
        fits.Column("short", "I", null=-32768, unit="adu", array=np.array([-32768, 32767, 0, -1], np.int16)),
        fits.Column("ushort", "I", bzero=2**15, array=np.array([0, 65535, 32768, 1], np.uint16)),
        fits.Column("int", "J", array=np.array([-(2**31), 2**31 - 1, 0, -1], np.int32)),
        fits.Column("uint", "J", bzero=2**31, array=np.array([0, 2**32 - 1, 2**31, 1], np.uint32)),
        fits.Column("long", "K", array=np.array([-(2**63), 2**63 - 1, 0, -1], np.int64)),
        fits.Column("ulong", "K", bzero=2**63, array=np.array([0, 2**64 - 1, 2**63, 1], np.uint64)),
        fits.Column("single", "E", unit="mag", array=np.array([1.5, np.nan, -np.inf, 0], np.float32)),
        fits.Column("double", "D", disp="F10.3", array=np.array([1 / 3, np.nan, 1e300, -0.0])),
        fits.Column("name", "8A", array=np.array(["M 31", "", "NGC 7000", "x"])),
        fits.Column("vector", "3J", array=np.arange(12, dtype=np.int32).reshape(4, 3)),
        fits.Column("matrix", "6D", dim="(3,2)", array=np.arange(24.0).reshape(4, 2, 3)),
        fits.Column("names", "10A", dim="(5,2)", array=np.array([["a", "bcd"], ["", "12345"], ["x", "y"], ["u", "v"]])),
        fits.Column("complex", "C", array=np.array([1 + 2j, -1j, 0, 3], np.complex64)),
        fits.Column("ragged", "PJ()", array=np.array([np.arange(k, dtype=np.int32) for k in (0, 3, 1, 5)], object)),
        fits.Column("wide", "QD()", array=np.array([np.arange(k) / 4 for k in (2, 0, 1, 3)], object)),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="SOURCES")
    table.header["TELESCOP"] = ("Blanco", "where it stands")
    table.header["COMMENT"] = "kept as it is"
    table.header["TCOMM7"] = "a whole number"
    table.header["TLMIN7"] = (-5, "least")
    # Scaled by hand, so that what lies in the file is known: 0.5 * (1, 2, null, -4) + 100.
    raw = fits.BinTableHDU.from_columns(
        [fits.Column("scaled", "I", null=-9, array=np.array([1, 2, -9, -4], np.int16))], name="SCALED"
    )
    raw.header["TSCAL1"] = 0.5
    raw.header["TZERO1"] = 100.0
    out = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros((3, 3), np.float32), name="PIXELS"), table, raw]).writeto(
        out, checksum=True
    )
    return out.getvalue()


def hdf5():
    n = 5
    dtype = np.dtype(
        [
            ("id", "<i8"), ("big", ">i4"), ("u8", "u1"), ("u64", "<u8"), ("half", "<f2"), ("ra", "<f8"), ("mag", ">f4"),
            ("flag", "?"), ("name", "S6"), ("vector", "<f4", (3,)), ("matrix", "<i2", (2, 3)), ("text", h5py.string_dtype()),
        ]
    )  # fmt: skip
    table = np.zeros(n, dtype)
    table["id"] = [-(2**63), 2**63 - 1, 0, 1, 2]
    table["big"] = np.arange(n) - 2
    table["u8"] = [0, 255, 1, 2, 3]
    table["u64"] = [0, 2**64 - 1, 1, 2, 3]
    table["half"] = [0.5, 1, 2, 4, -8]
    table["ra"] = np.arange(n) / 3
    table["mag"] = [20.5, np.nan, 21, 22, 23]
    table["flag"] = [1, 0, 1, 0, 0]
    table["name"] = [b"a", b"", b"NGC224", b"M 31", b"x"]
    table["vector"] = np.arange(15).reshape(5, 3)
    table["matrix"] = np.arange(30).reshape(5, 2, 3)
    table["text"] = ["über", "", "a much longer text than the others", "Ω", "z"]
    out = io.BytesIO()
    with h5py.File(out, "w") as f:
        data = f.create_dataset("catalog/objects", data=table, chunks=(2,), compression="gzip", shuffle=True)
        data.attrs["telescope"] = "Blanco"
        data.attrs["epoch"] = 2015.5
        data.attrs["version"] = np.int32(3)
        data.attrs["bands"] = np.array([b"g", b"r"])
        meta = "\n".join(["datatype:", "- {name: id, datatype: int64}", "- {name: ra, unit: deg, datatype: float64}"])
        f["catalog/objects.__table_column_meta__"] = np.array(meta.encode().split(b"\n"))
        group = f.create_group("columns")
        group["x"] = np.arange(n, dtype=np.int16)
        group["y"] = np.arange(n) / 7
        group["y"].attrs["units"] = "Jy"
        group["pairs"] = np.arange(2 * n, dtype=np.uint32).reshape(n, 2)
        group["label"] = np.array(["p", "qq", "", "rrr", "s"], h5py.string_dtype())
        ragged = group.create_dataset("ragged", (n,), h5py.vlen_dtype(np.int32))
        for i in range(n):
            ragged[i] = np.arange(i, dtype=np.int32)
        f.create_dataset("odd/complex", data=np.zeros(2, [("z", "<c16"), ("w", "<i4")]))
        f["images/a"] = np.zeros((3, 3))
    return out.getvalue()


def check(path):
    """The columns of `tests/tables_golden.rs`, as Bunter wrote them."""
    rows = 7
    expected = {
        "i8": np.arange(rows).astype(np.int8) - 3,
        "u16": np.arange(rows).astype(np.uint16) * 9000,
        "u64": np.arange(rows).astype(np.uint64) + np.uint64(2**63),
        "f32": np.arange(rows, dtype=np.float32) / 3,
        "pair": np.arange(2 * rows, dtype=np.int32).reshape(rows, 2),
        "flag": np.arange(rows) % 2 == 0,
        "name": np.array([f"star {i}" for i in range(rows)]),
        "nulls": np.ma.masked_array(np.arange(rows, dtype=np.int64), np.arange(rows) % 3 == 1),
    }
    if path.endswith(".fits"):
        from astropy.table import Table

        with fits.open(path, checksum=True) as file:
            import warnings

            warnings.simplefilter("error")
            assert file[1].verify_checksum() == 1 and file[1].verify_datasum() == 1 and file[0].verify_checksum() == 1
            file.verify("exception")
            ragged = [list(r) for r in file[1].data["ragged"]]
        table = Table.read(path)
        assert str(table["f32"].unit) == "mag", table["f32"].unit
        assert table.meta["EXTNAME"] == "OBJECTS"
        read = {name: table[name] for name in expected}
        read["name"] = np.char.strip(np.asarray(table["name"]).astype(str))
    else:
        with h5py.File(path) as file:
            group = file["objects"]
            read = {name: group[name][...] for name in expected}
            assert group["f32"].attrs["unit"] == "mag" and group["f32"].compression == "gzip" and group["f32"].shuffle
            read["flag"] = read["flag"].astype(bool)
            read["name"] = np.array([t.decode() for t in read["name"]])
            read["nulls"] = np.ma.masked_array(read["nulls"], group["nulls.valid"][...] == 0)
            ragged = [list(r) for r in group["ragged"][...]]
    assert ragged == [[float(k) for k in range(i % 4)] for i in range(rows)], ragged
    for name, wanted in expected.items():
        assert np.ma.allequal(read[name], wanted) if name == "nulls" else np.array_equal(read[name], wanted), name
        if name == "nulls":
            assert list(np.ma.getmaskarray(read[name])) == list(np.ma.getmaskarray(wanted)), read[name]
        # astropy makes floats of signed bytes.
        if name not in ("name", "flag") and (name != "i8" or path.endswith(".h5")):
            assert read[name].dtype.newbyteorder("=") == wanted.dtype, (name, read[name].dtype)
    print(path, "as expected")


if len(sys.argv) > 1:
    for path in sys.argv[1:]:
        check(path)
else:
    for name, content in (("astropy.fits", bintable()), ("h5py.h5", hdf5())):
        with open(f"{name}.gz", "wb") as file:
            file.write(gzip.compress(content, 9, mtime=0))
