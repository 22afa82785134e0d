"""Database entities: what Alembic reads. States are text with a CHECK; constraints are named; times are aware UTC."""

from appliance.models.analyses import AiAnalysis, AnalysisVersion
from appliance.models.arrivals import Arrival
from appliance.models.audit import AuditEntry
from appliance.models.awaited import AwaitedRecording, ToldCall
from appliance.models.base import Base
from appliance.models.calls import Call
from appliance.models.events import Event
from appliance.models.exports import Export
from appliance.models.language import LlmChoice, LlmProfile, LlmRequest
from appliance.models.nodes import Node
from appliance.models.objects import ObjectDeletion
from appliance.models.pipelines import Pipeline, StageOutput, StageStep
from appliance.models.reanalyses import Reanalysis, ReanalysisTask
from appliance.models.segments import Segment
from appliance.models.sessions import LoginFailure, RefreshToken, RevokedToken
from appliance.models.tallies import CallTally, TallyZone, TopicTally
from appliance.models.users import User
from appliance.models.vocabulary import SiteVocabulary

__all__ = [
    "AiAnalysis",
    "AnalysisVersion",
    "Arrival",
    "AuditEntry",
    "AwaitedRecording",
    "Base",
    "Call",
    "CallTally",
    "Event",
    "Export",
    "LlmChoice",
    "LlmProfile",
    "LlmRequest",
    "LoginFailure",
    "Node",
    "ObjectDeletion",
    "Pipeline",
    "Reanalysis",
    "ReanalysisTask",
    "RefreshToken",
    "RevokedToken",
    "Segment",
    "SiteVocabulary",
    "StageOutput",
    "StageStep",
    "TallyZone",
    "ToldCall",
    "TopicTally",
    "User",
]
