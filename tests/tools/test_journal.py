"""A journal is gone on with by the same run, and by no other."""

import pytest

from videoclf.errors import ConfigError, StorageError
from videoclf.tools.journal import Journal

SCHEMA = "CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, done INTEGER)"


def open_journal(path, **settings):
    return Journal(path, schema=SCHEMA, settings={"quick": False, **settings})


def test_rows_outlive_the_run(tmp_path):
    with open_journal(tmp_path / "below" / "a.sqlite") as journal:
        assert journal.is_new
        journal.execute_many("INSERT INTO files VALUES (?, ?)", [("b", 0), ("a", 1)])
    with open_journal(tmp_path / "below" / "a.sqlite") as journal:
        assert not journal.is_new
        assert list(journal.rows("files", "path, done", "path")) == [("a", 1), ("b", 0)]
        assert journal.count("files", "done") == 1


def test_rows_come_page_by_page_and_may_be_changed_meanwhile(tmp_path, monkeypatch):
    monkeypatch.setattr("videoclf.tools.journal._PAGE_ROWS", 3)
    with open_journal(tmp_path / "a.sqlite") as journal:
        paths = [f"{number:02}" for number in range(10)]
        journal.execute_many("INSERT INTO files VALUES (?, 0)", ([path] for path in paths))
        seen = []
        for (path,) in journal.rows("files", "path", "path", "NOT done"):
            seen.append(path)
            journal.execute("UPDATE files SET done = 1 WHERE path = ?", [path])
            journal.save()
        assert seen == paths


def test_what_is_not_saved_is_lost_with_the_process_alone(tmp_path):
    journal = open_journal(tmp_path / "a.sqlite")
    journal.execute("INSERT INTO files VALUES ('saved', 1)")
    journal.save()
    journal.execute("INSERT INTO files VALUES ('not saved', 1)")
    journal._database.close()  # what a kill leaves
    with open_journal(tmp_path / "a.sqlite") as again:
        assert list(again.rows("files", "path", "path")) == [("saved",)]


def test_a_complete_run_leaves_nothing(tmp_path):
    with open_journal(tmp_path / "a.sqlite") as journal:
        journal.execute("INSERT INTO files VALUES ('a', 1)")
        journal.remove()
    assert list(tmp_path.iterdir()) == []


def test_other_settings_are_refused(tmp_path):
    with open_journal(tmp_path / "a.sqlite"):
        pass
    with pytest.raises(ConfigError, match=r"of a run with quick=False, and now it is True; say"):
        open_journal(tmp_path / "a.sqlite", quick=True)


def test_one_run_at_a_time(tmp_path):
    first = open_journal(tmp_path / "a.sqlite")
    with first, pytest.raises(ConfigError, match="in use by another run"):
        open_journal(tmp_path / "a.sqlite")
    with open_journal(tmp_path / "a.sqlite"):
        pass


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "a.sqlite").write_bytes(b"no database at all, but long enough to be one" * 100)
    with pytest.raises(StorageError, match=r"cannot use the journal .*a\.sqlite: .*delete it"):
        open_journal(tmp_path / "a.sqlite")


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot make"):
        open_journal(tmp_path / "file" / "a.sqlite")
