"""What is kept for a restart: whole or not at all, the newest two, in their order."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.reload.folders import NOTHING, Sources
from bridge.reload.kept import Kept


def sources(text: str) -> Sources:
    return Sources(files={"rules/a.yaml": text.encode(), "rules/deep/er/b.yaml": b"b", "templates/t.md.j2": b"t"})


def versions(kept: Kept) -> list[str]:
    return [sources.version for sources, _ in kept.newest()]


def test_it_gives_back_what_it_was_given(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "data" / "rulebook")
    assert versions(kept) == []
    kept.keep(sources("one"))
    ((given, folders),) = kept.newest()
    assert given == folders.read() == sources("one")
    assert folders.rules == tmp_path / "data" / "rulebook" / given.version / "rules"


def test_no_rules_at_all_are_kept_as_well(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.keep(sources("one"))
    kept.keep(NOTHING)
    assert [given for given, _ in kept.newest()] == [NOTHING, sources("one")]


def test_the_newest_two_are_kept_the_newest_first(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    for text in ("one", "two", "three"):
        kept.keep(sources(text))
    assert versions(kept) == [sources("three").version, sources("two").version]
    kept.keep(sources("two"))
    assert versions(kept) == [sources("two").version, sources("three").version]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(versions(kept))


def test_what_was_changed_by_hand_is_not_used_and_is_written_anew(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.keep(sources("one"))
    kept.keep(sources("two"))
    (tmp_path / sources("two").version / "rules" / "a.yaml").write_text("changed")
    assert versions(kept) == [sources("one").version]
    kept.keep(sources("two"))
    assert versions(kept) == [sources("two").version, sources("one").version]


def test_what_a_crash_left_half_written_is_no_copy_and_goes(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    half = tmp_path / f".new-{sources('two').version}" / "rules"
    half.mkdir(parents=True)
    (half / "a.yaml").write_text("tw")
    (half / "left-over.yaml").write_text("x")
    assert versions(kept) == []
    kept.keep(sources("two"))
    assert [folders.read() for _, folders in kept.newest()] == [sources("two")]
    (tmp_path / ".new-0123456789ab").mkdir()
    kept.keep(sources("one"))
    assert not list(tmp_path.glob(".new-*"))


@settings(deadline=None, max_examples=25)
@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=8))
def test_the_order_is_that_of_keeping(texts: list[str]) -> None:
    with TemporaryDirectory() as folder:
        kept = Kept(Path(folder))
        for text in texts:
            kept.keep(sources(text))
        newest = list(dict.fromkeys(reversed(texts)))[:2]
        assert versions(kept) == [sources(text).version for text in newest]
