"""A benchmark that compares texts of the program goes on as they change."""

from benchmarks import check


def test_the_check_of_many_rules_is_measured() -> None:
    assert 0 < check.seconds(1_000, rounds=1) < 60
