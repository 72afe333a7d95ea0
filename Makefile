# make demo     the whole of Fallow on this one computer, by itself
# make test     everything that must hold: set-up, lint, types, every test
# make bench    the benchmarks, one table

PYTHON_IN := .venv/bin/python
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo test bench lint format clean

help:
	@sed -n 's/^# //p' Makefile

setup:
	@packaging/setup.sh

demo: setup
	@$(PYTHON_IN) examples/demo.py

test: lint
	@packaging/setup.sh tests
	@$(PYTHON_IN) -m pytest -n $(WORKERS) --reruns 1 --dist loadgroup --no-loadscope-reorder --durations 15 --durations-min 1 $(ARGS)

bench: setup
	@$(PYTHON_IN) tests/bench/run.py $(ARGS)

lint: setup
	@$(PYTHON_IN) -m ruff check .
	@$(PYTHON_IN) -m ruff format --check .
	@$(PYTHON_IN) -m mypy

format: setup
	@$(PYTHON_IN) -m ruff check --fix --exit-zero .
	@$(PYTHON_IN) -m ruff format .

clean:
	rm -rf .venv .set-up.lock build dist demo-results bench-results
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
