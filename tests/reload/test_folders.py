"""Whether files have changed, and the name that their content has."""

import os
from pathlib import Path

import pytest

from bridge.reload.folders import Folders, Sources


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    made = Folders(rules=tmp_path / "rules", templates=tmp_path / "templates")
    (made.rules / "shop").mkdir(parents=True)
    made.templates.mkdir()
    (made.rules / "a.yaml").write_text("one")
    (made.rules / "shop" / "b.yml").write_text("two")
    (made.rules / "a.test.yaml").write_text("three")
    (made.templates / "t.md.j2").write_text("four")
    return made


def test_all_that_rules_are_made_of_is_read(folders: Folders) -> None:
    assert folders.read().files == {
        "rules/a.yaml": b"one",
        "rules/shop/b.yml": b"two",
        "rules/a.test.yaml": b"three",
        "templates/t.md.j2": b"four",
    }
    assert folders.read().has_rules


def test_what_editors_and_people_leave_there_is_not(folders: Folders) -> None:
    before, read = folders.look(), folders.read()
    (folders.rules / "README.md").write_text("words")
    (folders.rules / "a.yaml~").write_text("old")
    (folders.rules / ".#a.yaml").symlink_to("nobody@nowhere")
    (folders.templates / ".t.md.j2.swp").write_text("swap")
    (folders.rules / ".git").mkdir()
    (folders.rules / ".git" / "x.yaml").write_text("x")
    assert (folders.look(), folders.read()) == (before, read)


def test_folders_that_are_not_there_hold_nothing(tmp_path: Path) -> None:
    nowhere = Folders(rules=tmp_path / "rules", templates=tmp_path / "templates")
    assert (nowhere.look(), nowhere.read()) == ({}, Sources(files={}))
    assert not nowhere.read().has_rules


def test_every_way_of_writing_is_seen(folders: Folders, tmp_path: Path) -> None:
    path, looks = folders.rules / "a.yaml", [folders.look()]

    def changed() -> bool:
        looks.append(folders.look())
        return looks[-1] != looks[-2]

    assert not changed()
    state = path.stat()
    path.write_text("eno")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert changed(), "the same size, and the time of writing set back"
    (tmp_path / "new").write_text("one")
    (tmp_path / "new").replace(path)
    assert changed(), "another file in its place"
    path.rename(folders.rules / "c.yaml")
    assert changed(), "another name"
    (folders.rules / "c.yaml").unlink()
    assert changed(), "deleted"
    (folders.templates / "t.md.j2").write_text("longer")
    assert changed(), "a template"


def test_the_version_is_that_of_names_and_content() -> None:
    files = {"rules/a.yaml": b"one", "templates/t.md.j2": b"two"}
    version = Sources(files=files).version
    assert len(version) == 12
    assert Sources(files=dict(reversed(files.items()))).version == version
    others = [{**files, "rules/a.yaml": b"two"}, {"rules/b.yaml": b"one", "templates/t.md.j2": b"two"}, {}]
    # Where one file ends and the next begins counts, too.
    others += [{"rules/a.yaml": b"onet", "templates/t.md.j2": b"wo"}, {"rules/a.yamlone": b"", **files}]
    assert len({version, *(Sources(files=other).version for other in others)}) == 6


def test_a_folder_that_is_a_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "rules").write_text("no folder")
    wrong = Folders(rules=tmp_path / "rules", templates=tmp_path / "templates")
    with pytest.raises(NotADirectoryError):
        wrong.read()
    assert wrong.look() == {str(tmp_path / "rules"): "Not a directory"}
