"""Language model servers for tests: a real vLLM with a tiny model, and a scripted one that fails as told."""
