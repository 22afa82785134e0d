"""The analysts that are compared: profiles by name, as an installation knows them, or the environment alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from appliance.config import Settings, SettingsInvalid, settings
from appliance.engines.language import Analyst
from appliance.engines.language.profiles import check_allowed, profile_named
from appliance.engines.language.transport import check_place
from appliance.pipeline.equipment import Equipment
from appliance.pipeline.providers import Chosen, known, of_environment
from appliance.store import db


def named(names: Sequence[str]) -> list[tuple[str, Callable[[], Analyst]]]:
    """Each profile with what makes its analyst for one call; all of them are checked before any is used.

    With an installation its profiles count too, requests that leave the machine are written down and the day's cost
    cap holds; without one only endpoints on this machine can be asked.
    Raises UnknownProvider, ProfileUnusable, CloudRefused, MaskingRequired, AddressInvalid, NotLocal.
    """
    try:
        found, stored = settings(), True
    except SettingsInvalid:
        found, stored = Settings.offline(), False
    stored = stored and any(name != "builtin" for name in names)
    profiles = of_environment(found)
    if stored:
        with db.unit_of_work() as session:
            profiles = known(found, session, names)
    chosen = [profile_named(profiles, name) for name in names]
    for profile in chosen:
        check_allowed(profile, found.data_residency, found.mask_pii)
        check_place(profile)
    equipment = Equipment(found, stored=stored)

    def analyst(of: Chosen) -> Callable[[], Analyst]:
        return lambda: equipment.analyst(of, call_id=None, purpose="evaluation")

    return [(profile.name, analyst(Chosen(profile))) for profile in chosen]
