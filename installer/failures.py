"""Why a step cannot be done, always with the remedy."""

from __future__ import annotations

from appliance.errors import ApplianceError


class PortTaken(ApplianceError):
    code = "port_taken"
    ru = "Порт {port} занят другой программой. Выберите другой, например: make demo PORT={other}"
    en = "Port {port} is taken by another program. Choose another one, for example: make demo PORT={other}"


class StepFailed(ApplianceError):
    code = "step_failed"
    ru = "Не удалось: {step}. {reason}"
    en = "Failed: {step}. {reason}"


class PostgresMissing(ApplianceError):
    code = "postgres_missing"
    ru = "Сервер PostgreSQL не установлен. Выполните: installer/packages.sh"
    en = "PostgreSQL's server is not installed. Run: installer/packages.sh"


class BackupUnsound(ApplianceError):
    code = "backup_unsound"
    ru = "Резервная копия повреждена или неполна: {what}. Возьмите другую копию"
    en = "The backup is damaged or not whole: {what}. Take another one"


class StillRunning(ApplianceError):
    code = "still_running"
    ru = "Система работает. Остановите её: systemctl stop call-analytics (или appliance down)"
    en = "The appliance is running. Stop it: systemctl stop call-analytics (or appliance down)"


class NotEmpty(ApplianceError):
    code = "folder_not_empty"
    ru = "В папке {folder} уже есть данные. Заменить их копией: --replace; при неудаче всё останется как было"
    en = "There is data in {folder} already. Put the backup in its place: --replace; if that fails all stays as it was"
