PYTHON ?= python3
DEMO := .venv
TEST := .venv-test

RUN := $(TEST)/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo test quick clean docs/losses.md

demo: $(DEMO)/ready  ## SimCLR on handwritten digits, from nothing to a report
	$(DEMO)/bin/python launch.py

test: $(TEST)/ready  ## the whole suite, in its own environment, with the reference implementations
	$(RUN) --junitxml=$(TEST)/tests.xml
	$(TEST)/bin/python tests/fidelity/losses_table.py $(TEST)/tests.xml docs/losses.md --check

quick: $(TEST)/ready  ## the suite without its slow end-to-end checks
	$(RUN) -m "not slow"

docs/losses.md: $(TEST)/ready  ## the table of losses, from the comparisons with other implementations
	$(RUN) tests/fidelity -k losses --junitxml=$(TEST)/losses.xml
	$(TEST)/bin/python tests/fidelity/losses_table.py $(TEST)/losses.xml $@

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
