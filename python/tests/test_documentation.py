"""Docstrings run and are there; stubs say what the package has; everything shows itself in notebooks."""

import ast
import doctest
import inspect
import pathlib

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
            member = kind if node.name == "__init__" else getattr(kind, node.name)
            try:
                signature = inspect.signature(member)
            except (TypeError, ValueError):
                continue
            if node.name.startswith("__") and node.name != "__init__":
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


def test_notebooks(butler, sky_map):
    for value in (butler, sky_map, butler.query_datasets("calexp"), bunter.Butler.from_snapshot(butler.snapshot())):
        html = value._repr_html_()
        assert html.count("<table") == html.count("</table>") >= 1


def test_version():
    from importlib.metadata import version

    assert bunter.__version__ == version("bunter")
    assert bunter.dimensions()["visit"] and "band" in bunter.dimensions()
