"""Documents of the editor: no typed text is lost, and no foreign change is overwritten without confirmation."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from workbench.pipeline_file.document import ChangedOnDiskError, Document, DocumentError, open_document
from workbench.pipeline_file.drafts import DraftError, Drafts


@pytest.fixture
def drafts(tmp_path: Path) -> Drafts:
    return Drafts(tmp_path / "data" / "drafts")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop" / ".c8s.yaml"
    path.parent.mkdir()
    path.write_text("name: shop\n")
    return path


def test_new_file_is_named_after_its_folder(tmp_path: Path, drafts: Drafts) -> None:
    folder = tmp_path / "My Shop"
    folder.mkdir()
    opened = open_document(folder / ".c8s.yaml", drafts)
    assert opened.document.text is None
    assert "name: my-shop" in opened.text
    opened.document.save(opened.text)
    assert (folder / ".c8s.yaml").read_text() == opened.text


def test_draft_is_restored_until_the_text_is_saved(file: Path, drafts: Drafts) -> None:
    opened = open_document(file, drafts)
    drafts.save(file, "name: other\n", opened.document.base)
    again = open_document(file, drafts)
    assert again.text == "name: other\n"
    assert not again.stale
    again.document.save(again.text)
    assert open_document(file, drafts).draft is None


def test_a_draft_of_an_older_file_is_stale(file: Path, drafts: Drafts) -> None:
    opened = open_document(file, drafts)
    drafts.save(file, "name: mine\n", opened.document.base)
    file.write_text("name: theirs\n")
    assert open_document(file, drafts).stale


def test_drafts_are_private_and_invalid_ones_are_ignored(file: Path, drafts: Drafts) -> None:
    drafts.save(file, "secret", "")
    (kept,) = drafts.folder.iterdir()
    assert kept.stat().st_mode & 0o077 == 0
    assert drafts.folder.stat().st_mode & 0o077 == 0
    kept.write_text('{"path": 1')
    assert drafts.find(file) is None


def test_unwritable_draft_is_an_error(file: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(DraftError, match="can't save the draft"):
        Drafts(tmp_path / "taken").save(file, "x", "")


def test_saving_over_a_foreign_change_needs_overwrite(file: Path) -> None:
    document = Document.open(file)
    file.write_text("name: theirs\n")
    with pytest.raises(ChangedOnDiskError):
        document.save("name: mine\n")
    assert file.read_text() == "name: theirs\n"
    document.save("name: mine\n", overwrite=True)
    assert file.read_text() == "name: mine\n"


def test_change_on_disk_is_detected(file: Path) -> None:
    document = Document.open(file)
    assert not document.changed_on_disk()
    os.utime(file, ns=(1, 1))
    assert not document.changed_on_disk()
    file.write_text("name: theirs\n")
    assert document.changed_on_disk()


def test_saving_keeps_line_ends_mode_and_links(file: Path, tmp_path: Path) -> None:
    file.write_bytes(b"name: shop\r\nsteps: []\r\n")
    file.chmod(0o640)
    link = tmp_path / "link.yaml"
    link.symlink_to(file)
    document = Document.open(link)
    assert document.text == "name: shop\nsteps: []\n"
    document.save("name: a\nsteps: []\n")
    assert link.is_symlink()
    assert file.read_bytes() == b"name: a\r\nsteps: []\r\n"
    assert file.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(("data", "why"), [(b"\xff\xfe", "UTF-8"), (b"x" * (4 * 1024 * 1024 + 1), "MiB")])
def test_binary_or_large_file_is_not_opened(file: Path, data: bytes, why: str) -> None:
    file.write_bytes(data)
    with pytest.raises(DocumentError, match=why):
        Document.open(file)


def test_failed_save_keeps_the_old_content(file: Path) -> None:
    document = Document.open(file)
    (file.parent / "inner").mkdir()
    document.path = file.parent / "inner" / "gone" / ".c8s.yaml"
    with pytest.raises(DocumentError):
        document.save("name: mine\n", overwrite=True)
    assert file.read_text() == "name: shop\n"
