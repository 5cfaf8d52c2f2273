"""`Table`: from and to numpy, astropy, pandas, pyarrow, polars."""

import pickle

import numpy as np
import pytest

import bunter

DTYPES = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8", ">i4", ">f8", "?"]


def example():
    return bunter.Table(
        {
            "visit": np.array([3, 1, 2]),
            "band": ["r", "i", "ü"],
            "seeing": np.array([0.5, np.nan, 0.7]),
            "n": np.ma.MaskedArray([1, 2, 3], mask=[0, 1, 0], dtype=np.int16),
        }
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_goes_round(dtype):
    values = np.array([0, 1, 1, 0, 1]).astype(dtype)
    table = bunter.Table({"x": values, "strided": np.repeat(values, 3)[::3], "back": values[::-1]})
    for name, expected in [("x", values), ("strided", values), ("back", values[::-1])]:
        np.testing.assert_array_equal(table[name], expected)
        assert table[name].dtype == np.dtype(dtype).newbyteorder("=")


def test_columns_share_memory_and_cannot_be_written_to():
    table = bunter.Table({"x": np.arange(10.0)})
    first, second = table["x"], table["x"]
    assert np.shares_memory(first, second) and not first.flags.writeable
    with pytest.raises(ValueError):
        first[0] = 1
    with pytest.raises(ValueError):
        first.setflags(write=True)
    # The memory outlives the table.
    del table
    np.testing.assert_array_equal(first, np.arange(10.0))


def test_nulls():
    table = example()
    assert np.ma.getmaskarray(table["n"]).tolist() == [False, True, False]
    assert table[1] == {"visit": 1, "band": "i", "seeing": pytest.approx(np.nan, nan_ok=True), "n": None}
    texts = bunter.Table({"t": np.array(["a", None, "b"], dtype=object)})
    assert texts["t"].tolist() == ["a", None, "b"]


def test_rows_slices_and_columns():
    table = example()
    assert len(table) == 3 and "band" in table and "bnd" not in table
    assert table[-1]["band"] == "ü" == table[np.int8(2)]["band"]
    assert table[::-1]["visit"].tolist() == [2, 1, 3]
    assert table[1:]["visit"].tolist() == [1, 2] and len(table[5:]) == 0 and len(table[2:1]) == 0
    assert table[["band", "visit"]].column_names == ["band", "visit"]
    assert [row["visit"] for row in table] == [3, 1, 2]
    with pytest.raises(KeyError, match="bnd"):
        table["bnd"]
    for bad in (3, -4, 2**70):
        with pytest.raises((IndexError, bunter.UsageError)):
            table[bad]
    for bad in (1.5, None, (1, 2), True):
        with pytest.raises(TypeError):
            table[bad]


@pytest.mark.parametrize(
    "columns",
    [
        {"x": [1, 2], "y": [1]},
        {"x": np.zeros((2, 2))},
        {"x": 3},
        {"x": [object()]},
        {"x": [1j]},
        {"x": np.array(["2026-11-22"], dtype="datetime64[D]")},
        {"x": [[1], [2, 3]]},
        {3: [1]},
        {"x": [2**70]},
    ],
)
def test_what_makes_no_table(columns):
    with pytest.raises(bunter.UsageError):
        bunter.Table(columns)


@pytest.mark.parametrize("value", [3, "text", None, [1, 2]])
def test_what_has_no_columns(value):
    with pytest.raises(bunter.WrongTypeError):
        bunter.Table(value)


def test_an_empty_table():
    table = bunter.Table({})
    assert len(table) == 0 and table.column_names == []
    empty = bunter.Table({"x": np.zeros(0), "s": np.zeros(0, dtype="U1")})
    assert len(empty) == 0 and empty["x"].dtype == float
    assert "0 rows" in repr(empty)


def test_arrow_goes_round_without_a_copy():
    pa = pytest.importorskip("pyarrow")
    table = example()
    arrow = table.to_arrow()
    assert arrow.num_rows == 3 and arrow["band"].to_pylist() == ["r", "i", "ü"]
    assert arrow["visit"].chunk(0).buffers()[1].address == table["visit"].__array_interface__["data"][0]
    assert bunter.Table(arrow) == table
    assert bunter.Table(pa.record_batch(table)) == table
    chunks = pa.concat_tables([arrow, arrow])
    assert len(bunter.Table(chunks)) == 6
    assert pa.schema(table).names == table.column_names


def test_arrow_that_makes_no_table():
    pa = pytest.importorskip("pyarrow")
    with pytest.raises(bunter.Error):
        bunter.Table(pa.array([1, 2, 3]))

    class Liar:
        def __arrow_c_stream__(self, requested_schema=None):
            return 3

    class Raiser:
        def __arrow_c_stream__(self, requested_schema=None):
            raise RuntimeError("no")

    class Wrong:
        def __arrow_c_stream__(self, requested_schema=None):
            return example().__arrow_c_schema__()

    with pytest.raises(bunter.WrongTypeError):
        bunter.Table(Liar())
    with pytest.raises(RuntimeError):
        bunter.Table(Raiser())
    with pytest.raises(ValueError):
        bunter.Table(Wrong())


def test_dictionaries_and_nested_columns():
    pa = pytest.importorskip("pyarrow")
    table = bunter.Table(pa.table({"band": pa.array(["r", "i", None, "r"]).dictionary_encode()}))
    assert table["band"].tolist() == ["r", "i", None, "r"]
    nested = bunter.Table(pa.table({"list": [[1, 2], [3]]}))
    with pytest.raises(bunter.UsageError, match="to_arrow"):
        nested["list"]
    assert nested.to_arrow()["list"].to_pylist() == [[1, 2], [3]]
    texts = bunter.Table(pa.table({"texts": [["a", "b"], []]}))
    assert pickle.loads(pickle.dumps(texts)) == texts


def test_pandas():
    pandas = pytest.importorskip("pandas")
    table = example()
    frame = table.to_pandas()
    assert frame["visit"].tolist() == [3, 1, 2] and frame["band"].tolist() == ["r", "i", "ü"]
    assert frame["n"].isna().tolist() == [False, True, False] and frame["n"][2] == 3
    assert isinstance(frame, pandas.DataFrame)
    back = bunter.Table(frame[["visit", "band", "seeing"]])
    assert back["visit"].tolist() == [3, 1, 2] and back["band"].tolist() == ["r", "i", "ü"]


def test_astropy():
    astropy = pytest.importorskip("astropy.table")
    table = example()
    other = table.to_astropy()
    assert isinstance(other, astropy.Table)
    assert other["band"].tolist() == ["r", "i", "ü"] and other["n"].mask.tolist() == [False, True, False]
    other["visit"][0] = 7
    assert table["visit"][0] == 3
    back = bunter.Table(other)
    assert back["visit"].tolist() == [7, 1, 2] and back["n"].mask.tolist() == [False, True, False]


def test_polars():
    polars = pytest.importorskip("polars")
    frame = example().to_polars()
    assert isinstance(frame, polars.DataFrame) and frame["band"].to_list() == ["r", "i", "ü"]
    assert bunter.Table(frame)["visit"].tolist() == [3, 1, 2]


def test_shown():
    table = bunter.Table({"<b>": ["<script>", "x" * 200], "n": [1, 2]})
    html = table._repr_html_()
    assert "<script>" not in html and "&lt;script&gt;" in html and "…" in html
    assert "[2 rows x 2 columns]" in repr(table)
    long = bunter.Table({"n": np.arange(1000)})
    assert "980 more rows" in repr(long) and "980 more rows" in long._repr_html_()


def test_identities(butler):
    import uuid

    table = butler.query_datasets("calexp")
    assert all(isinstance(i, uuid.UUID) for i in table["id"])
    assert table[0]["id"] == table["id"][0]
