"""How objects look: as text, and in notebooks."""

from __future__ import annotations

import base64
import struct
import zlib
from html import escape

ROWS = 20
_CELL = 60


def _cell(value):
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    text = str(value)
    return text if len(text) <= _CELL else text[: _CELL - 1] + "…"


def _rows(table):
    shown = len(table) if len(table) <= ROWS else ROWS
    return [[_cell(v) for v in row.values()] for row in table[:shown].to_pylist()]


def _count(n, what):
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def table_text(table):
    names = table.column_names
    rows = _rows(table)
    widths = [max([len(n)] + [len(r[i]) for r in rows]) for i, n in enumerate(names)]
    lines = ["  ".join(n.ljust(w) for n, w in zip(names, widths, strict=True)).rstrip()]
    lines.append("  ".join("-" * w for w in widths))
    lines += ["  ".join(v.ljust(w) for v, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    if len(table) > len(rows):
        lines.append(f"… {_count(len(table) - len(rows), 'more row')}")
    lines.append(f"[{_count(len(table), 'row')} x {_count(len(names), 'column')}]")
    return "\n".join(lines)


def _html(title, names, rows, more=""):
    head = "".join(f"<th>{escape(str(n))}</th>" for n in names)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(v))}</td>" for v in row) + "</tr>" for row in rows)
    note = f"<p>{escape(more)}</p>" if more else ""
    return (
        f"<div><p><b>{escape(title)}</b></p><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table>{note}</div>"
    )


def table_html(table):
    rows = _rows(table)
    more = f"… {_count(len(table) - len(rows), 'more row')}" if len(table) > len(rows) else ""
    title = f"{_count(len(table), 'row')} × {_count(table.num_columns, 'column')}"
    return _html(title, table.column_names, rows, more)


def butler_html(butler):
    types = [(t["name"], t["storage_class"], ", ".join(t["dimensions"])) for t in butler.query_dataset_types()]
    collections = [(c["name"], c["type"], ", ".join(c["children"])) for c in butler.query_collections()]
    title = f"Butler: {butler.root}" + ("" if butler.writeable else " (of a snapshot)")
    return _html(title, ["dataset type", "storage class", "dimensions"], types) + _html(
        "Collections", ["name", "type", "children"], collections
    )


def sky_map_html(sky_map):
    nx, ny = sky_map.max_patches
    rows = [("tracts", len(sky_map)), ("patches of a tract, at most", f"{nx} × {ny}"), ("SHA-1", sky_map.sha1)]
    return _html(repr(sky_map), ["", ""], rows) + f"<pre>{escape(sky_map.to_toml())}</pre>"


def packer_html(packer):
    rows = [("columns", ", ".join(packer.columns)), ("bits", packer.bits), ("largest integer", packer.max)]
    return _html(f"Packer: {packer.name}", ["", ""], rows) + f"<pre>{escape(packer.to_toml())}</pre>"


def snapshot_html(snapshot):
    tables = [(name, len(snapshot.table(name))) for name in snapshot.table_names]
    properties = list(snapshot.properties.items())
    title = f"Snapshot: {_count(snapshot.nbytes, 'byte')}"
    return _html(title, ["table", "rows"], tables) + _html("Properties", ["name", "value"], properties)


def _png(width, height, rgb):
    """A PNG file of 8-bit colours, row by row from the top."""
    rows = b"".join(b"\0" + rgb[3 * width * y : 3 * width * (y + 1)] for y in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def image_html(image, max_size=256):
    from ._bunter import _picture

    width, height, rgb = _picture(image.image, max_size)
    data = base64.b64encode(_png(width, height, rgb)).decode()
    picture = f'<img alt="{escape(repr(image))}" width="{width}" height="{height}" src="data:image/png;base64,{data}">'
    box = image.bbox
    rows = [
        ("pixels", f"{box.width} × {box.height}, from ({box.x0}, {box.y0})"),
        ("zero point", f"{image.zero_point:.10g} mag"),
        ("pixel", f"{image.wcs.pixel_scale():.4g} arcsec"),
        ("mask planes", ", ".join(image.mask_planes)),
    ]
    if hasattr(image, "inputs"):
        rows.append(("inputs", len(image.inputs)))
    return _html(type(image).__name__, ["", ""], rows) + picture
