"""Claims are kept where the words that prove them were said, and dropped and counted where they were not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

from appliance.engines.language import Utterance
from appliance.engines.language.claims import NEEDS_NO_PROOF, Claim, Outcome

LEAST_LETTERS = 2
"""A shorter quote is in every transcript and proves nothing."""

ClaimT = TypeVar("ClaimT", bound=Claim)


def plain(text: str) -> str:
    """Words alone, in lower case, е for ё, one space between, and one before and after."""
    return " " + " ".join(re.findall(r"\w+", text.lower().replace("ё", "е"))) + " "


class Proofs:
    """Checks the claims on one transcript and counts. A right quote with a wrong id is given the right id."""

    def __init__(self, utterances: Sequence[Utterance]) -> None:
        self._said = [(utterance.id, plain(utterance.text)) for utterance in utterances]
        self.made = self.dropped = 0

    def proven(self, claim: ClaimT | None) -> ClaimT | None:
        """The claim with the id of the utterance that proves it; None where none does."""
        if claim is None:
            return None
        if isinstance(claim, Outcome) and claim.kind in NEEDS_NO_PROOF:
            return claim.model_copy(update={"segment": "", "quote": ""})
        self.made += 1
        quote = plain(claim.quote)
        where = [name for name, said in self._said if quote in said] if len(quote) >= LEAST_LETTERS + 2 else []
        if not where:
            self.dropped += 1
            return None
        return claim if claim.segment in where else claim.model_copy(update={"segment": where[0]})

    def all_proven(self, claims: Sequence[ClaimT], most: int) -> tuple[ClaimT, ...]:
        """Those of the claims that are proven, the first `most` of them."""
        return tuple(kept for claim in claims if (kept := self.proven(claim)))[:most]
