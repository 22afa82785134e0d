"""An analysis that was made anew because client and manager were exchanged

Revision: 0021
"""

from __future__ import annotations

from alembic import op

revision = '0021'
down_revision = '0020'
branch_labels = None
depends_on = None

BEFORE = "reason IN ('received', 'reprocessed', 'stood_in', 'provider_back', 'reanalysed')"
AFTER = "reason IN ('received', 'reprocessed', 'stood_in', 'provider_back', 'reanalysed', 'speakers_swapped')"


def upgrade() -> None:
    _change(AFTER)


def downgrade() -> None:
    op.execute("UPDATE analysis_versions SET reason = 'reanalysed' WHERE reason = 'speakers_swapped'")
    _change(BEFORE)


def _change(reasons: str) -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_constraint(op.f('ck_analysis_versions_reason'), 'analysis_versions')
    op.create_check_constraint(op.f('ck_analysis_versions_reason'), 'analysis_versions', reasons)
