PYTHON ?= python3
DEMO := .venv
TEST := .venv-test

# A test process that XLA ends leaves its reason on the terminal, and ends the run: xdist may wait for ever otherwise.
RUN := $(TEST)/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --capture=sys --max-worker-restart=0

.PHONY: demo test quick clean docs/losses.md docs/views.md

demo: $(DEMO)/ready  ## SimCLR on handwritten digits, from nothing to a report
	$(DEMO)/bin/python launch.py

test: $(TEST)/ready  ## the whole suite, in its own environment, with the reference implementations; lists its slowest tests
	$(RUN) -m "" --durations=60 --durations-min=4 --junitxml=$(TEST)/tests.xml
	$(TEST)/bin/python tests/fidelity/tables.py $(TEST)/tests.xml docs/losses.md docs/views.md --check

quick: $(TEST)/ready  ## the suite without its slow end-to-end checks
	$(RUN)

docs/losses.md: COMPARISONS := losses
docs/views.md: COMPARISONS := augment
docs/losses.md docs/views.md: $(TEST)/ready  ## the tables of losses and of views, from the comparisons with other code
	$(RUN) -m "" tests/fidelity -k $(COMPARISONS) --junitxml=$(TEST)/$(COMPARISONS).xml
	$(TEST)/bin/python tests/fidelity/tables.py $(TEST)/$(COMPARISONS).xml $@

$(DEMO)/ready: requirements.txt
	$(PYTHON) -m venv $(DEMO)
	$(DEMO)/bin/pip install --quiet --upgrade pip
	$(DEMO)/bin/pip install --quiet -r requirements.txt
	touch $@

$(TEST)/ready: requirements.txt requirements-dev.txt requirements-peers.txt requirements-peers-nodeps.txt
	$(PYTHON) -m venv $(TEST)
	$(TEST)/bin/pip install --quiet --upgrade pip
	$(TEST)/bin/pip install --quiet -r requirements-dev.txt
	$(TEST)/bin/pip install --quiet -r requirements-peers.txt
	$(TEST)/bin/pip install --quiet --no-deps -r requirements-peers-nodeps.txt
	touch $@

clean:
	rm -rf $(DEMO) $(TEST) runs
