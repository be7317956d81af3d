# make          the same as make check
# make check    format, lint, types, dead code, unit and property tests; under a minute, before each commit
# make contract every destination and modifier against the contract suites, on local servers
# make e2e      the built program against real servers and faults
# make test     installs the servers that are missing, then runs everything
# make demo     backs up real directories to a local destination, lists, verifies, restores and compares
# make bench    paired timings against the shell pipelines
# make build    leaves a runnable bin/twindb-backup
# make package  leaves a .deb and a .tar.gz in dist/package
# make golden   rewrites the golden files; read the diff

export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
SHELL := /bin/bash
SOURCES := $(shell find src -name '*.ts')

.PHONY: check contract e2e test demo bench build package golden servers format
.DEFAULT_GOAL := check

# Not npm ci: it refuses a lock file without the optional packages of platforms that were not available when it was written.
# What the lock file names is installed at that version either way.
node_modules/.installed: package.json package-lock.json .npmrc
	npm install --no-save --no-audit --no-fund --loglevel=error
	@touch $@

dist/main.js: node_modules/.installed $(SOURCES) .rolldown.config.ts package.json
	rolldown --config .rolldown.config.ts --log-level warn

bin/twindb-backup: src/launcher.sh
	mkdir -p bin
	install -m 0755 src/launcher.sh $@

build: dist/main.js bin/twindb-backup

package: build
	bash packaging/build.sh

format: node_modules/.installed
	biome check --write --config-path=.biome.json

check: node_modules/.installed
	biome ci --config-path=.biome.json
	oxlint --deny-warnings
	tsc -p .
	knip --no-progress
	vitest run --config test/vitest.config.ts --project unit

contract: node_modules/.installed
	vitest run --config test/vitest.config.ts --project contract

e2e: build
	vitest run --config test/vitest.config.ts --project e2e

golden: build
	vitest run --config test/vitest.config.ts --project unit --project e2e --update

servers:
	bash test/support/install-servers.sh

test:
	$(MAKE) --jobs=2 --output-sync servers check
	$(MAKE) contract
	$(MAKE) e2e

demo: build
	bash test/demo.sh

bench: build
	node test/bench/bench.ts
