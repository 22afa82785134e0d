"""/api/health: whether this process answers. /api/ready: whether it can do its work."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import BaseModel

from appliance.api.deps import ViewerDep
from appliance.services import readiness

router = APIRouter(prefix="/api", tags=["operation"])


class Health(BaseModel):
    status: str = "ok"
    version: str


@router.get("/health")
def health() -> Health:
    """Alive. Looks at nothing else."""
    return Health(version=readiness.VERSION)


@router.get("/ready", responses={503: {"model": readiness.Readiness}})
def ready(response: Response) -> readiness.Readiness:
    """Each dependency, looked at for real; 503 where one of them is away."""
    found = readiness.look()
    response.status_code = 200 if found.ready else 503
    return found


@router.get("/admin/status")
def status(viewer: ViewerDep) -> readiness.Condition:
    """How the appliance is: dependencies, queues, disk, card, weights, who analyses. For admins."""
    return readiness.condition_for(viewer)
