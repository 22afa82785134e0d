"""/metrics: for Prometheus, not for the LAN."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from appliance.services import monitoring

router = APIRouter(tags=["operation"])


TEXT = {"schema": {"type": "string"}}


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": TEXT}}})
def metrics(request: Request) -> Response:
    """Numbers for Prometheus; only for the addresses of METRICS_ALLOW, by default this machine's own."""
    address = request.client.host if request.client else ""
    return Response(monitoring.exposition(address), media_type=CONTENT_TYPE_PLAIN_0_0_4)
