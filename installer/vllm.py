"""The local language model: vLLM on the loopback interface, with the share of the card that the plan gave it."""

from __future__ import annotations

from pathlib import Path

from installer.site import Site

PYTHON = Path(__file__).parent.parent / ".venv-vllm" / "bin" / "python"
"""vLLM lives in an environment of its own: docs/decisions/0006."""


def server_command(site: Site) -> list[str]:
    """What supervisor runs; empty where this installation has no language model of its own."""
    facts = site.facts()
    if not facts.get("VLLM_WEIGHTS"):
        return []
    options = {
        "--model": facts["VLLM_WEIGHTS"],
        "--served-model-name": facts.get("LOCAL_LLM_MODEL", "local"),
        "--host": "127.0.0.1",
        "--port": str(site.ports()["vllm"]),
        # Never vLLM's own default of 0.92: speech and the diarizer are on the same card.
        "--gpu-memory-utilization": facts.get("VLLM_SHARE", "0.5"),
        "--max-model-len": facts.get("VLLM_CONTEXT", "16384"),
        "--structured-outputs-config": '{"backend":"guidance","disable_any_whitespace":true}',
        "--default-chat-template-kwargs": '{"enable_thinking":false}',
    }
    # Not --api-key: everybody on the machine can read the list of processes. See `environment`.
    flat = [part for option in options.items() for part in option]
    return [str(PYTHON), "-m", "vllm.entrypoints.openai.api_server", *flat]


def environment(site: Site) -> dict[str, str]:
    """What vLLM is told besides: the key that it asks for, as LOCAL_LLM_API_KEY has it."""
    return {"VLLM_API_KEY": site.facts()["LOCAL_LLM_API_KEY"]}
