"""What a server at rest does not keep in memory: what this bridge has no use for."""

from tests.cli.test_lazy import loaded


def test_a_bridge_on_a_file_loads_neither_the_other_store_nor_what_only_some_bridges_need() -> None:
    modules = loaded("import bridge.cli.serve")
    unneeded = ("sqlalchemy.dialects.postgresql", "psycopg", "alembic", "holidays", "markdown_it", "puremagic")
    assert [name for name in modules if name.startswith(unneeded)] == []
    assert [name for name in modules if name.startswith("bridge.platforms.")] == ["bridge.platforms.registry"]
