"""What callers can do wrong, as sentences. The codes are part of the API."""

from __future__ import annotations

from appliance.errors import ApplianceError


class CallNotFound(ApplianceError):
    code = "call_not_found"
    status = 404
    ru = "Звонок не найден"
    en = "The call was not found"


class NotAllowed(ApplianceError):
    code = "not_allowed"
    status = 403
    ru = "Недостаточно прав для этого действия"
    en = "You are not allowed to do this"


class NotAuthenticated(ApplianceError):
    code = "not_authenticated"
    status = 401
    ru = "Требуется вход в систему"
    en = "You are not logged in"


class PasswordChangeRequired(ApplianceError):
    code = "password_change_required"
    status = 403
    ru = "Пароль выбран администратором: сначала смените его"
    en = "An admin chose your password: change it first"


class WrongCredentials(ApplianceError):
    code = "wrong_credentials"
    status = 401
    ru = "Неверный e-mail или пароль"
    en = "Wrong e-mail or password"


class TooManyAttempts(ApplianceError):
    code = "too_many_attempts"
    status = 429
    ru = "Слишком много попыток входа, повторите через {seconds} с"
    en = "Too many attempts to log in, try again in {seconds} s"


class UploadTooLarge(ApplianceError):
    code = "upload_too_large"
    status = 413
    ru = "Файл больше {megabytes} МБ"
    en = "The file is larger than {megabytes} MB"


class RecordingTooLong(ApplianceError):
    code = "recording_too_long"
    status = 413
    ru = "Запись длиннее {minutes} минут"
    en = "The recording is longer than {minutes} minutes"


class UnsupportedAudio(ApplianceError):
    code = "unsupported_audio"
    status = 415
    ru = "Формат файла не поддерживается: нужна запись wav, mp3 или m4a"
    en = "Unsupported audio format: a wav, mp3 or m4a recording is needed"


class NoSound(ApplianceError):
    code = "no_sound"
    status = 415
    ru = "В файле нет звуковой дорожки"
    en = "The file has no sound track"


class EmptyAudio(ApplianceError):
    code = "audio_empty"
    status = 422
    ru = "Файл пуст или не содержит звука"
    en = "The file is empty or has no sound in it"


class TruncatedAudio(ApplianceError):
    code = "audio_truncated"
    status = 422
    ru = "Запись обрывается: файл загружен или сохранён не полностью"
    en = "The recording is cut off: the file was not uploaded or saved completely"


class ExcessiveAudio(ApplianceError):
    code = "audio_excessive"
    status = 422
    ru = "Обработка файла требует больше времени или памяти, чем возможно для записи звонка"
    en = "Reading the file takes more time or memory than a recording of a call may"


class DiskFull(ApplianceError):
    code = "disk_full"
    status = 507
    ru = "На сервере заканчивается место: новые записи не принимаются"
    en = "The server is running out of disk space: no new recordings are taken"


class QueueFull(ApplianceError):
    code = "queue_full"
    status = 503
    ru = "Слишком много звонков ожидает обработки, повторите позже"
    en = "Too many calls are waiting to be processed, try again later"


class InvalidPhone(ApplianceError):
    code = "phone_invalid"
    status = 422
    ru = "Номер телефона не распознан"
    en = "The phone number is not valid"


class InvalidField(ApplianceError):
    code = "validation_failed"
    status = 422
    ru = "Неверное значение поля {field}"
    en = "The value of {field} is wrong"


class CallBeingProcessed(ApplianceError):
    code = "call_being_processed"
    status = 409
    ru = "Звонок ещё обрабатывается"
    en = "The call is still being processed"


class CallHeld(ApplianceError):
    code = "call_held"
    status = 409
    ru = "Под запретом удаления звонков: {calls}. Снять запрет может администратор"
    en = "Calls under legal hold: {calls}. An admin can release them"


class CallsErasedMeanwhile(ApplianceError):
    code = "calls_erased_meanwhile"
    status = 409
    ru = "Пока готовился файл, звонки были стёрты: повторите экспорт"
    en = "Calls were erased while the file was written: export again"


class NoRecording(ApplianceError):
    code = "no_recording"
    status = 409
    ru = "У звонка нет записи"
    en = "The call has no recording"


class LinkInvalid(ApplianceError):
    code = "link_invalid"
    status = 403
    ru = "Ссылка недействительна или устарела"
    en = "The link is not valid or has expired"


class RangeNotSatisfiable(ApplianceError):
    code = "range_not_satisfiable"
    status = 416
    ru = "В записи нет запрошенного отрезка"
    en = "The recording has no such range"
