# make run    start the app                     make bench        measure it beside its peers
# make test   lint, types and every test        make screenshots  renew the pictures in docs/
# make clean  remove what the above made        make test-oldest  every test with the oldest versions allowed
# make load   32 clients and 8 pages at once, each answer compared with what a Segmenter alone says: make load REQUESTS=10000
# make train  train a network: make train NETWORK=unet DATA=foreground-train.zip VAL=foreground-val.zip MINUTES=60
# make train-lenet  train LeNet on scikit-learn's digits, in a minute
# make scores score every network and write the table in README.md: make scores DATA=FOLDER (with the two -val.zip)
#
# Each target does its own set-up in .venv. Another Python: make run PYTHON=/path/to/python3.11

SHELL := /bin/bash
VENV  := .venv
BIN   := $(VENV)/bin
PIP   := $(BIN)/python -m pip --disable-pip-version-check install --no-input

.DEFAULT_GOAL := run
.PHONY: run test test-oldest bench load screenshots train train-lenet scores clean

run: $(VENV)/.app
	@$(BIN)/python app.py

test: $(VENV)/.dev
	@CHROMIUM="$$(scripts/find-chromium)" && export CHROMIUM && scripts/check

# Old releases beside newer ones of what they need are told of deprecations that are not ours to mend.
test-oldest: $(VENV)-oldest/.dev
	@CHROMIUM="$$(scripts/find-chromium)" && export CHROMIUM && \
	    $(VENV)-oldest/bin/python -m pytest -W ignore::DeprecationWarning

bench: $(VENV)/.dev
	@CHROMIUM="$$(scripts/find-chromium)" && export CHROMIUM && $(BIN)/python -m benchmarks.run

REQUESTS ?= 300
load: $(VENV)/.dev
	@CHROMIUM="$$(scripts/find-chromium)" && export CHROMIUM && \
	    $(BIN)/python -m benchmarks.load --requests $(REQUESTS) $(MORE)

screenshots: $(VENV)/.dev
	@CHROMIUM="$$(scripts/find-chromium)" && export CHROMIUM && $(BIN)/python -m scripts.screenshots

NETWORK ?= unet
MINUTES ?= 60
train: $(VENV)/.dev
	@test -n "$(DATA)" || { echo 'Say what to learn from: make train DATA=archive.zip'; exit 2; }
	@$(BIN)/python -m segdemo train --network $(NETWORK) --data $(DATA) $(if $(VAL),--val $(VAL)) \
	    --minutes $(MINUTES) --out runs/$(NETWORK) $(MORE)

train-lenet: $(VENV)/.dev
	@$(BIN)/python -m scripts.train_lenet

scores: $(VENV)/.dev
	@test -n "$(DATA)" || { echo 'Say which folder has the archives: make scores DATA=FOLDER'; exit 2; }
	@$(BIN)/python -m scripts.scores --data $(DATA)

clean:
	rm -rf $(VENV) $(VENV)-oldest node_modules build dist .pytest_cache .mypy_cache .ruff_cache .gradio
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find segdemo -name '*.pyi' -delete

# The stamps: a requirements file that is newer than its stamp is installed again.

$(BIN)/python $(VENV)-oldest/bin/python:
	@PYTHON="$(PYTHON)" scripts/make-venv $(@D)/..

$(VENV)/.app: requirements.txt | $(BIN)/python
	@echo "Installing requirements.txt into $(VENV); the first time this takes some minutes."
	@$(PIP) --quiet -r $< && touch $@

$(VENV)/.dev: requirements-dev.txt requirements-sources.txt $(VENV)/.app
	@echo "Installing requirements-dev.txt and requirements-sources.txt into $(VENV)."
	@$(PIP) --quiet -r requirements-dev.txt -r requirements-sources.txt && touch $@

# ">=1.2" becomes "==1.2" for what the app needs; what the tests need stays as it is.
$(VENV)-oldest/.dev: requirements.txt requirements-dev.txt requirements-sources.txt | $(VENV)-oldest/bin/python
	@sed -nE 's/^([a-z-]+)>=([0-9.]+).*/\1==\2/p' requirements.txt > $(@D)/oldest.txt
	@$(@D)/bin/python -m pip --disable-pip-version-check install --quiet --no-input -r requirements-dev.txt -r requirements-sources.txt -c $(@D)/oldest.txt && touch $@
