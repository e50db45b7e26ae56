PYTHON ?= python3
DEMO := .venv
TEST := .venv-test
ENGINES := .venv-engines
PLAN := .venv-plan

# A test process that XLA ends leaves its reason on the terminal, and ends the run: xdist may wait for ever otherwise.
# PRELOAD: a library that the tests run with, such as another allocator of memory.
RUN := $(if $(PRELOAD),LD_PRELOAD=$(PRELOAD)) \
    $(TEST)/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --capture=sys --max-worker-restart=0

.PHONY: demo test quick engines launched planned clean docs/losses.md docs/views.md

demo: $(DEMO)/ready  ## SimCLR on handwritten digits, from nothing to a report
	$(DEMO)/bin/python launch.py

test: $(TEST)/ready  ## the whole suite, in its own environment, with the reference implementations; lists its slowest tests
	$(RUN) -m "" --durations=60 --durations-min=4 --junitxml=$(TEST)/tests.xml
	$(TEST)/bin/python tests/fidelity/tables.py $(TEST)/tests.xml docs/losses.md docs/views.md --check
	$(MAKE) engines

quick: $(TEST)/ready  ## the suite without its slow end-to-end checks
	$(RUN)

engines:  ## what needs SkyPilot, xpk or the compiler for TPUs, side by side: the last is slow
	$(MAKE) -j2 --output-sync=target launched planned

launched: $(ENGINES)/ready
	$(ENGINES)/bin/python -m pytest -m "" --capture=sys tests/launchers/test_skypilot.py tests/launchers/test_xpk.py \
	    tests/launchers/test_slices.py

planned: $(PLAN)/ready
	$(PLAN)/bin/python -m pytest -m "" --capture=sys tests/experiment/test_plan.py -k "real or command"

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

$(TEST)/ready: requirements.txt $(addprefix requirements-,dev.txt slurm.txt search.txt peers.txt peers-nodeps.txt)
	$(PYTHON) -m venv $(TEST)
	$(TEST)/bin/pip install --quiet --upgrade pip
	$(TEST)/bin/pip install --quiet -r requirements-dev.txt
	$(TEST)/bin/pip install --quiet -r requirements-peers.txt
	$(TEST)/bin/pip install --quiet --no-deps -r requirements-peers-nodeps.txt
	touch $@

# Both lie over the test environment, whose packages want other versions of some: what is installed here goes first.
OVER = $(TEST)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" > \
    "$$($(@D)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/under.pth"
LIBTPU = $(TEST)/bin/python -c "import importlib.metadata as m; \
    print(*(r.split(';')[0] for r in m.requires('jax') if r.startswith('libtpu') and 'tpu' in r.split(';')[1]))"

$(ENGINES)/ready: $(TEST)/ready requirements-skypilot.txt requirements-xpk.txt
	$(TEST)/bin/python -m venv $(@D)
	$(@D)/bin/pip install --quiet --upgrade pip
	$(@D)/bin/pip install --quiet "$$(sed -n 's/^skypilot.gcp./skypilot/p' requirements-skypilot.txt)" -r requirements-xpk.txt
	$(OVER)
	touch $@

$(PLAN)/ready: $(TEST)/ready
	$(TEST)/bin/python -m venv $(@D)
	$(@D)/bin/pip install --quiet --upgrade pip
	$(@D)/bin/pip install --quiet --no-deps "$$($(LIBTPU))"
	$(OVER)
	touch $@

clean:
	rm -rf $(DEMO) $(TEST) $(ENGINES) $(PLAN) runs
