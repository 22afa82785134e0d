"""The two kinds of failure: what a caller did wrong or must know, and what a pipeline stage could not do."""

from __future__ import annotations

import errno
from typing import ClassVar


class ApplianceError(Exception):
    """A failure with a stable code and an HTTP status; its texts are for people and hold no personal data.

    Subclasses name the case as a sentence and give the texts; `params` fill the texts' placeholders and are sent along.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    ru: ClassVar[str] = "Внутренняя ошибка сервера"
    en: ClassVar[str] = "Internal server error"

    def __init__(self, *, headers: dict[str, str] | None = None, **params: str | float) -> None:
        self.params = params
        self.headers = headers or {}
        super().__init__(self.message("en"))

    def message(self, language: str) -> str:
        """The text in `ru` or `en`."""
        return (self.en if language == "en" else self.ru).format(**self.params)


class StageError(Exception):
    """A pipeline stage failed; `retryable` says whether trying again later can help. `code` is short and stable."""

    def __init__(self, code: str, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable


IN_RUSSIAN = {
    "diarizer_died": "Процесс разделения голосов завершился",
    "diarizer_failed": "Голоса разделить не удалось",
    "diarizer_out_of_memory": "Разделению голосов не хватило памяти",
    "diarizer_timeout": "Разделение голосов не ответило вовремя",
    "diarizer_unusable": "Разделение голосов нельзя запустить: проверьте PYANNOTE_PYTHON",
    "diarizer_weights_unusable": "Веса разделения голосов непригодны: проверьте PYANNOTE_WEIGHTS",
    "disk_full": "На диске нет места",
    "engine_unknown": "Такого движка нет",
    "engine_without_weights": "Ни одни из этих весов не работают на этих движках",
    "espeak_missing": "Нужна программа espeak-ng: apt-get install espeak-ng",
    "hub_refused": "Хаб отказал в загрузке",
    "hub_unreachable": "Загрузить не удалось: хаб недоступен",
    "llm_answer_invalid": "Ответ языковой модели непригоден",
    "llm_answer_oversized": "Ответ языковой модели слишком велик",
    "llm_answer_truncated": "Ответ языковой модели дважды оборвался",
    "llm_answer_wrong_language": "Языковая модель дважды ответила не на языке звонка",
    "llm_busy": "Языковая модель занята",
    "llm_context_exceeded": "Запрос длиннее контекста языковой модели",
    "llm_context_too_small": "Контекст языковой модели слишком мал",
    "llm_cost_cap": "Дневной предел расходов исчерпан",
    "llm_misconfigured": "Языковая модель настроена неверно",
    "llm_not_permitted": "Запросы за пределы этой машины здесь не разрешены",
    "llm_rate_limited": "Языковая модель ограничивает частоту запросов",
    "llm_refused": "Языковая модель отказалась анализировать звонок",
    "llm_rejected": "Языковая модель отклонила запрос",
    "llm_switched": "Пока звонок ждал, выбрали другой профиль",
    "llm_unavailable": "Языковая модель недоступна",
    "models_dir_unusable": "В папку весов нельзя записать",
    "no_corrected_calls": "Ни у одного звонка ещё не меняли местами клиента и менеджера",
    "recognition_failed": "Распознавание не удалось",
    "set_empty": "В наборе нет записи с эталоном того же имени (.json, .stm, .rttm)",
    "set_missing": "Набора нет",
    "set_unreadable": "Набор не читается",
    "speaker_weights_unusable": "Веса голосов не загружаются",
    "tokenizer_unusable": "Токенизатор профиля непригоден",
    "variant_unknown": "Такого вида звонков нет",
    "vocabulary_unreadable": "Словарь не читается: проверьте VOCABULARY_FILE",
    "weights_corrupt": "Файл весов повреждён: загрузите его заново",
    "weights_missing": "Весов нет: appliance weights list",
    "weights_not_a_model": "Это не модель Whisper, или она не загружается",
    "weights_truncated": "Файл весов оборван: скопируйте или загрузите его заново",
    "weights_unknown": "Весов с таким именем нет: appliance weights list",
    "weights_unreadable": "Веса не читаются",
}
"""What the codes of engines say to a Russian operator; the message, which has the details, is for support as well."""


class EngineError(Exception):
    """An engine cannot do its work: unusable weights, an endpoint that answers nonsense. The message says why.

    wait_s: the fault is not the call's but that of something that is away; try again after so many seconds, as often
    as it takes.
    """

    def __init__(self, code: str, message: str, *, retryable: bool = False, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable
        self.wait_s = wait_s

    def message(self, language: str) -> str:
        """A sentence in `ru` or `en`; the Russian one has the message behind it, for its paths and names."""
        return f"{IN_RUSSIAN.get(self.code, self.code)} ({self})" if language == "ru" else str(self)


def is_disk_full(error: BaseException | None) -> bool:
    """Whether the disk, or this process's share of it, holds no more."""
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
