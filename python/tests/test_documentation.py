"""Docstrings run and are there; stubs say what the package has; everything shows itself in notebooks."""

import ast
import base64
import doctest
import html.parser
import inspect
import pathlib
import struct
import zlib

import numpy as np
import pytest

import bunter


def public():
    for name in bunter.__all__:
        yield name, getattr(bunter, name)


def test_docstrings_run(butler, repository):
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    names = {"bunter": bunter, "butler": butler, "repository": repository}
    for name, value in public():
        for test in finder.find(value, name, module=False, globs=dict(names)):
            runner.run(test)
    assert runner.summarize(verbose=False).failed == 0
    assert runner.tries >= 20


def methods(kind):
    return {n: v for n, v in vars(kind).items() if not n.startswith("_")}


def test_everything_has_a_docstring():
    for name, value in public():
        if name.startswith("__"):
            continue
        assert inspect.getdoc(value), name
        if isinstance(value, type) and value.__module__ == "bunter" and not issubclass(value, BaseException):
            if name in ("Box", "Coadd", "DatasetRef", "StoredDataset"):
                continue
            for method, member in methods(value).items():
                assert inspect.getdoc(member), f"{name}.{method}"


@pytest.fixture(scope="module")
def stubs():
    path = pathlib.Path(bunter.__file__).with_name("__init__.pyi")
    assert path.with_name("py.typed").exists()
    return {node.name: node for node in ast.parse(path.read_text()).body if hasattr(node, "name")}


def test_stubs_say_what_there_is(stubs):
    for name, value in public():
        if name == "__version__":
            continue
        assert name in stubs, f"{name} has no stub"
        if not isinstance(value, type) or issubclass(value, BaseException) or name == "Box":
            continue
        said = {node.name for node in stubs[name].body if isinstance(node, ast.FunctionDef)}
        there = set(methods(value))
        assert there <= said, f"{name}: no stub of {there - said}"
        assert {n for n in said if not n.startswith("_")} <= there, f"{name}: a stub of {said - there}"


def test_stubs_have_the_arguments(stubs):
    for name, kind in public():
        if not isinstance(kind, type) or issubclass(kind, BaseException) or name == "Box":
            continue
        for node in stubs[name].body:
            if not isinstance(node, ast.FunctionDef) or any(
                isinstance(d, ast.Name) and d.id == "property" for d in node.decorator_list
            ):
                continue
            member = kind if node.name == "__new__" else getattr(kind, node.name)
            try:
                signature = inspect.signature(member)
            except (TypeError, ValueError):
                continue
            if node.name.startswith("__") and node.name != "__new__":
                continue
            arguments = node.args
            said = [
                a.arg
                for a in arguments.posonlyargs + arguments.args + arguments.kwonlyargs
                if a.arg not in ("self", "cls")
            ]
            there = [
                p.name
                for p in signature.parameters.values()
                if p.name != "self" and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
            ]
            assert said == there, f"{name}.{node.name}: {said} in the stub, {there} in the package"


class Balanced(html.parser.HTMLParser):
    """Tags in the order in which they were opened, all of them closed."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.images = [], [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        if tag == "img":
            self.images.append(dict(attributes))
        else:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parsed(value):
    parser = Balanced()
    parser.feed(value._repr_html_())
    parser.close()
    assert parser.open == [] and "table" in parser.seen, value
    return parser


def test_notebooks(butler, sky_map):
    snapshot = butler.snapshot()
    values = [butler, sky_map, sky_map.packer("<m>", ["r"]), butler.query_datasets("calexp"), snapshot]
    for value in [*values, bunter.Butler.from_snapshot(snapshot), bunter.Table({})]:
        assert "<m>" not in value._repr_html_() and not parsed(value).images


def test_images_in_notebooks(butler, first):
    exposure = butler.get("calexp", first)
    row = butler.query_overlaps("sim", dataset_type="calexp", where="band = 'r'")[0]
    coadd = butler.build_coadd("sim", row["tract"], row["patch"], "r")
    blank = bunter.Exposure(np.full((3, 700), np.nan, np.float32), exposure.wcs, 27.0)
    for value in (exposure, coadd, blank):
        (image,) = parsed(value).images
        kind, data = image["src"].split(",")
        assert kind == "data:image/png;base64"
        data = base64.b64decode(data)
        assert data.startswith(b"\x89PNG\r\n\x1a\n") and data.endswith(b"IEND\xaeB`\x82")
        width, height = struct.unpack(">II", data[16:24])
        assert (image["width"], image["height"]) == (str(width), str(height)) and max(width, height) <= 256
        rows = zlib.decompress(data[data.index(b"IDAT") + 4 : -16])
        assert len(rows) == height * (1 + 3 * width)
        # A star is seen, and nothing where nothing is known.
        assert (max(rows) > 100) == (value is not blank)


def test_the_readmes_tour_runs(tmp_path, monkeypatch):
    pytest.importorskip("pandas")
    text = (pathlib.Path(__file__).parents[1] / "README.md").read_text()
    tour = text.split("## Five minutes")[1].split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(tour, "README.md", "exec"), names)
    butler, coadd = names["butler"], names["coadd"]
    assert [c["name"] for c in butler.query_collections()] == ["coadds", "raw"]
    assert len(butler.query_datasets("deepCoadd", "coadds")) == 1 and coadd.n_image.max() >= 2


def test_version():
    from importlib.metadata import version

    assert bunter.__version__ == version("bunter")
    assert bunter.dimensions()["visit"] and "band" in bunter.dimensions()
