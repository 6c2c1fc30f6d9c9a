"""What a server at rest does not keep in memory: what this bridge has no use for."""

from tests.cli.test_lazy import loaded


def test_a_bridge_on_a_file_loads_neither_the_other_store_nor_what_only_some_bridges_need() -> None:
    modules = loaded("import bridge.cli.serve")
    unneeded = ("sqlalchemy.dialects.postgresql", "psycopg", "alembic", "holidays", "markdown_it", "puremagic")
    assert [name for name in modules if name.startswith(unneeded)] == []
    assert [name for name in modules if name.startswith("bridge.platforms.")] == ["bridge.platforms.registry"]


def test_of_all_countries_holidays_those_of_the_named_one_are_loaded() -> None:
    modules = loaded("from bridge.rulebook.calendars import public_holidays as load; load('AX', None)")
    countries = {name for name in modules if name.startswith("holidays.countries.")}
    # The holidays of Åland are Finland's, and some of its own.
    assert countries == {"holidays.countries.aland_islands", "holidays.countries.finland"}


def test_every_country_can_be_loaded_by_itself() -> None:
    loaded(
        "from holidays.registry import EntityLoader\n"
        "from bridge.rulebook.calendars import public_holidays as load\n"
        "for country in EntityLoader.get_country_codes(): load(country, None)"
    )
