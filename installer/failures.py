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
