"""docs/operations.md is whole and true: every setting with its default, every figure, every namespace rule."""

import re

import pytest

from chat_server.metrics import REGISTRY
from chat_server.settings import Namespace, Rate, Settings
from tests.docs.pages import OPERATIONS, PAGES, ROOT, rows, section, ticked

BY_HOSTS = {"port": "PORT", "workers": "WEB_CONCURRENCY", "database_url": "DATABASE_URL", "redis_url": "REDIS_URL"}


def variable_of(field: str) -> str:
    return BY_HOSTS.get(field, f"CHAT_{field.upper()}")


def written(value: object) -> str:
    """A default as an operator would write it; - for none."""
    if value is None or value == "" or value == ():
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return '{"live": {}}'
    return str(value)


DOCUMENTED = {ticked(cells[0])[0]: cells for cells in rows(section(OPERATIONS, "Settings")) if cells[0].isupper()}
DEFAULTS = Settings.model_construct(
    **{name: field.get_default(call_default_factory=True) for name, field in Settings.model_fields.items()}
)


@pytest.mark.parametrize("field", Settings.model_fields)
def test_every_setting_is_there_with_its_default(field: str) -> None:
    cells = DOCUMENTED.get(variable_of(field))

    assert cells is not None, f"{variable_of(field)} is missing"
    assert cells[1].strip("`") == written(getattr(DEFAULTS, field))
    assert len(cells[2]) > 10


def test_no_setting_is_there_that_does_not_exist() -> None:
    assert set(DOCUMENTED) == {variable_of(field) for field in Settings.model_fields}


def test_out_of_the_box_there_is_one_namespace() -> None:
    assert DEFAULTS.namespaces == {"live": Namespace()}
    assert written(Rate(10, 60.0)) == "10/min"


def test_every_rule_of_a_namespace_is_there_with_its_default() -> None:
    documented = {
        name: default
        for cells in rows(section(OPERATIONS, "Namespaces"))
        for name, default in zip(ticked(cells[0]), ticked(cells[1]) * 2, strict=False)
    }

    assert documented == {name: written(field.default) for name, field in Namespace.model_fields.items()}


def test_every_variable_that_any_page_names_exists() -> None:
    known = {variable_of(field) for field in Settings.model_fields} | {
        f"CHAT_{field.upper()}" for field in Settings.model_fields
    }
    of_the_command_line = {"CHAT_URL", "CHAT_TOKEN"}
    pages = [*PAGES, ROOT / ".env.example"]

    named = {name for page in pages for name in re.findall(r"\bCHAT_[A-Z_]+\b", page.read_text())}

    assert named - known - of_the_command_line == set()


def test_every_figure_that_is_named_exists() -> None:
    real = {name for metric in REGISTRY.collect() for name in (metric.name, f"{metric.name}_total")}

    named = set(re.findall(r"\bchat_[a-z_]+\b", section(OPERATIONS, "What to watch")))

    assert len(named) > 8
    assert named <= real
