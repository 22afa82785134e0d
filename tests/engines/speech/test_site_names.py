"""A site's file of names."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.config import Settings
from appliance.engines.speech.site_names import SiteName, read
from appliance.errors import EngineError
from appliance.pipeline.equipment import Equipment


def test_a_file_lists_names_plainly_or_with_what_is_heard(tmp_path: Path) -> None:
    file = tmp_path / "names.yaml"
    file.write_text("- Автоград\n- {text: Восток, heard: [восход авто]}\n", encoding="utf-8")
    assert read(file) == [SiteName(text="Автоград"), SiteName(text="Восток", heard=["восход авто"])]
    file.write_text("", encoding="utf-8")
    assert read(file) == []


@pytest.mark.parametrize(
    "text", ["names: 5", "- [", "5", "- {text: a}", "- {name: Восток}", "\x00", "- 'Вос\\u202eток!'"]
)
def test_a_file_that_is_none_says_so_without_its_text(tmp_path: Path, text: str) -> None:
    file = tmp_path / "names.yaml"
    file.write_text(text if "\\u" not in text else '- "Вос\\u202eток"', encoding="utf-8")
    with pytest.raises(EngineError) as raised:
        read(file)
    assert raised.value.code == "vocabulary_unreadable"
    assert "Вос" not in str(raised.value)
    assert (raised.value.retryable, raised.value.wait_s) == (True, 0), "calls wait for who mends it"


def test_the_file_is_read_for_every_call(tmp_path: Path) -> None:
    file = tmp_path / "names.yaml"
    equipment = Equipment(Settings.model_construct(vocabulary_file=str(file)), stored=False)
    with pytest.raises(EngineError):
        equipment.vocabulary()
    file.write_text("- Автоград\n", encoding="utf-8")
    assert equipment.vocabulary().hot[:2] == ("Автоград", "Лада")
    file.write_text("- Шульгин\n", encoding="utf-8")
    assert equipment.vocabulary().hot[:2] == ("Шульгин", "Лада")
