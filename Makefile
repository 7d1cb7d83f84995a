# Everything there is to do with Peerlab. `make` alone lists it.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-builtin-rules --no-print-directory

PEERS    := alice bob charly dave erin
PEER     ?= alice
FUZZTIME ?= 10s
# How long `make up` waits for the cluster, in seconds.
PATIENCE ?= 60

# As in .env, by which docker-compose names the containers.
PROJECT := $(or $(COMPOSE_PROJECT_NAME),$(shell sed -n 's/^COMPOSE_PROJECT_NAME=//p' .env))
# What a hint needs before make to mean the cluster of this call.
AGAIN   := $(if $(filter environment command,$(subst command line,command,$(origin COMPOSE_PROJECT_NAME))),COMPOSE_PROJECT_NAME=$(PROJECT) )
COMPOSE  = $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
UNITS    = $$(go list ./... | grep -v '^peerlab/e2e$$')
# What keeps a processor busy in virtual time, and what starts containers or
# changes this host's network: each for itself, or they would feel each other.
SIMULATED = peerlab/(scenarios|testbed/sim)(/|$$)
HOSTED    = peerlab/(testbed/(docker|fabric)(/|$$)|cmd/(peerlab|fabric)$$)
BUILD   := CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags='-s -w'

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r target text; do
		printf '  make %-15s %s\n' "$$target" "$$text"
	done

# --- a cluster to talk to ----------------------------------------------------

# What can be wrong is said before anything takes time.
.PHONY: settings
settings: build
	@net=$${PEERLAB_NET:-10.77.0} byte='(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])'
	if ! [[ $$net =~ ^$$byte\.$$byte\.$$byte$$ ]]; then
		echo "make up: PEERLAB_NET=$$net is no network: give the first three numbers of a /24, such as 10.78.0" >&2
		exit 1
	fi
	if [[ $${BOOTSTRAP_DATA_SERVER:-} ]]; then
		echo 'make up: BOOTSTRAP_DATA_SERVER is not used: these peers have a bootstrap service of their own' >&2
	fi
	env -i PEER_NAME=alice PEER_PROFILE="$${PEERLAB_PROFILE:-local}" PEER_REJOIN="$${PEERLAB_REJOIN:-5s}" \
		PEER_SET="$${PEERLAB_SET:-}" PEER_LOG_LEVEL="$${PEERLAB_LOG:-info}" .build/peer run --check

.PHONY: up
up: settings image ## start bootstrap, alice, bob, charly, dave and erin; return when each sees all five
	@started=$$EPOCHREALTIME
	echo 'starting bootstrap $(PEERS)'
	if ! output=$$($(COMPOSE) up -d --no-build 2>&1); then
		echo "$$output" >&2
		[[ $$output != *overlaps* ]] || echo 'make up: the network is in use here: choose another with PEERLAB_NET=10.78.0' >&2
		exit 1
	fi
	# A peer's view, printed when any has changed.
	want=$(words $(PEERS)) shown='' deadline=$$((SECONDS + $(PATIENCE))) explain=$$((SECONDS + 8))
	while :; do
		line='' missing=()
		for peer in $(PEERS); do
			health=$$(docker exec $(PROJECT)-$$peer /peer exec -- health -format json 2>/dev/null) || true
			sees=$$(sed -n 's/.*"online": *\([0-9]*\).*/\1/p' <<<"$$health")
			line+="  $$peer $${sees:-0}/$$want"
			((sees == want)) || missing+=("$$peer")
		done
		[[ $$line == "$$shown" ]] || echo "$$line"
		shown=$$line
		if ((SECONDS >= explain && $${#missing[@]})) && [[ $$line != *' 0/'* ]]; then
			echo "  waiting for $${missing[*]}: gossip has not told them of everybody; the next push/pull does, within 45 s with the profile local"
			explain=$$((deadline + 1))
		fi
		((SECONDS < deadline && $${#missing[@]})) || break
		for peer in "$${missing[@]}"; do
			if [[ $$(docker inspect -f '{{.State.Status}}' $(PROJECT)-$$peer 2>/dev/null) != running ]]; then
				missing=("$$peer")
				break 2
			fi
		done
		sleep 0.2
	done
	if (($${#missing[@]})); then
		{
			for peer in "$${missing[@]}" bootstrap; do
				echo "--- $$peer, $$(docker inspect -f '{{.State.Status}}, exit code {{.State.ExitCode}}' $(PROJECT)-$$peer 2>&1)"
				docker logs --tail 20 $(PROJECT)-$$peer 2>&1 || true
			done
			echo
			# Without what logs in there.
			proxies=$$(docker inspect -f '{{range .Config.Env}}{{println .}}{{end}}' $(PROJECT)-$${missing[0]} 2>/dev/null |
				sed -En 's|^(HTTPS?_PROXY=)([a-z0-9]+://)?([^@]*@)?(.*)|\1\2\4|p' | sort -u | paste -sd ' ') || true
			[[ ! $$proxies ]] || echo "make up: Docker's client configuration gave the containers $$proxies: peers use it for services elsewhere, peerlab doctor tells"
			echo "make up: no cluster of $$want: $${missing[*]} did not get there; the logs are above, $(AGAIN)make down removes it all"
		} >&2
		exit 1
	fi
	LC_ALL=C awk -v a="$$started" -v b="$$EPOCHREALTIME" 'BEGIN { printf "a cluster of five after %.1f s\n", b - a }'
	again='$(AGAIN)'
	printf "  %-$$((32 + $${#again}))s %s\n" \
		'$(AGAIN)make attach PEER=alice' 'a shell inside alice: members, msg hello, help' \
		'$(AGAIN)make logs PEER=bob' 'what bob reports, as it happens' \
		'docker kill $(PROJECT)-erin' 'and the shell shows how the others find out' \
		'$(AGAIN)make down' 'stop and remove it all'

.PHONY: down
down: ## stop and remove containers and network; the images stay
	@$(COMPOSE) down --volumes --remove-orphans --timeout 10

# peerlab stands outside the container, so that it can tell how the shell ended and
# what becomes of the peer: then make has nothing to add.
.PHONY: attach
attach: running ## open the shell of a running peer: make attach PEER=alice
	@container=$(PROJECT)-$(PEER)
	[[ -t 0 && -t 1 ]] || exec docker exec -i $$container /peer attach
	if [[ -x .build/peerlab ]]; then
		.build/peerlab attach --cluster $(PROJECT) $(PEER) || true
		exit 0
	fi
	# Docker alone has started the cluster: there is no peerlab here.
	echo 'Ctrl-] leaves the shell, also while $(PEER) is paused'
	docker exec -it --detach-keys 'ctrl-]' -e PEER_CLUSTER=$(PROJECT) $$container /peer attach ||
		printf '\e[0m\e[?2004l\n%s\n' 'the shell has ended: $(AGAIN)make attach PEER=$(PEER) opens it again, or says what is the matter with $(PEER)'

# The line goes by standard input, and what a - in it reads after it: arguments
# show in Docker's events. It goes as it is written: make replaces nothing in it.
# make ends with 2 whatever the status of a line that fails: peerlab exec passes it on.
.PHONY: exec
exec: override export LINE := $(value LINE)
exec: one-line running ## run one line in a running peer: make exec PEER=alice LINE=members
	@columns=''
	[[ ! -t 1 ]] || columns=$$(stty size 2>/dev/null </dev/tty | cut -d ' ' -f 2) || true
	{
		printf '%s\n' "$${LINE:-help}"
		[[ " $$LINE " != *' - '* || $$LINE =~ ^' '*/?(msg|echo|testfilter|'broadcast add')' ' ]] || cat
	} | docker exec -i -e COLUMNS="$$columns" $(PROJECT)-$(PEER) /peer exec -

.PHONY: one-line
one-line:
	@[[ $$LINE != *$$'\n'* ]] || { echo 'make exec: LINE is one line, this has several: the others would be dropped' >&2; exit 1; }

.PHONY: running
running:
	@state=$$(docker inspect -f '{{.State.Status}}' $(PROJECT)-$(PEER) 2>/dev/null) || state=missing
	if [[ $$state == missing ]] && ! docker version >/dev/null 2>&1; then
		echo 'make: no Docker daemon answers: see DOCKER_HOST, docker version and peerlab doctor' >&2
		exit 1
	fi
	case $$state in
	running) ;;
	missing) echo 'make: there is no peer $(PEER) in the cluster $(PROJECT): start that with $(AGAIN)make up, or name another with COMPOSE_PROJECT_NAME=; choose a peer with PEER=, of $(PEERS)' >&2; exit 1 ;;
	paused) echo 'make: $(PEER) is paused: docker unpause $(PROJECT)-$(PEER) wakes it' >&2; exit 1 ;;
	*) echo "make: $(PEER) is $$state: docker start $(PROJECT)-$(PEER) brings it back" >&2; exit 1 ;;
	esac

.PHONY: logs
logs: ## follow the events and the log of one peer, or of all: make logs PEER=bob
	@if [[ ! '$(filter bootstrap $(PEERS),$(PEER))' ]]; then
		echo 'make logs: there is no peer $(PEER): choose one with PEER=, of bootstrap $(PEERS)' >&2
		exit 1
	fi
	exec $(COMPOSE) logs --follow --tail 50 $(if $(filter-out file default,$(origin PEER)),$(PEER))

.PHONY: ps
ps: ## list the containers
	@$(COMPOSE) ps

# --- building ----------------------------------------------------------------

.PHONY: build
build: ## build the programs into .build
	@echo 'building the programs'
	mkdir -p .build
	$(BUILD) -o .build/ ./cmd/...

.PHONY: man
man: build ## write manual pages into .build/man: man -M .build/man peerlab
	@for program in peerlab peer bootstrap; do .build/$$program man .build/man/man1; done
	echo 'man -M .build/man peerlab shows the first of them'

.PHONY: image
image: build ## build the images peerlab-peer, peerlab-bootstrap and peerlab-fabric from .build
	@echo 'building the images'
	pids=()
	for name in peer bootstrap fabric; do
		{
			output=$$(docker build --file Dockerfile.$$name --target prebuilt --tag peerlab-$$name . 2>&1) || {
				echo "$$output" >&2
				exit 1
			}
		} &
		pids+=($$!)
	done
	for pid in "$${pids[@]}"; do wait "$$pid"; done
	# What carried the tags before.
	docker image prune --force --filter label=org.opencontainers.image.title=peerlab >/dev/null

.PHONY: image-serf
image-serf: ## build the image peerlab-serf, for peerlab up --adapter serf
	@mkdir -p .build
	$(BUILD) -o .build/ github.com/hashicorp/serf/cmd/serf
	output=$$(docker build --file Dockerfile.serf --tag peerlab-serf . 2>&1) || {
		echo "$$output" >&2
		exit 1
	}

.PHONY: clean
clean: down ## remove what was built, images included
	@rm -rf .build
	docker image rm --force peerlab-peer peerlab-bootstrap peerlab-fabric peerlab-serf >/dev/null

.PHONY: generate
generate: ## write the generated code anew: the chat's protocol
	@go generate ./peer/chat/chatpb

.PHONY: docs
docs: ## write docs/commands.md, the reference in docs/scenarios.md and docs/gallery.md anew from the programs
	@go run ./cmd/peer commands > docs/commands.md
	reference=$$(go run ./cmd/peerlab run --help-verbs)
	frame=$$(sed '/^<!-- reference -->$$/q' docs/scenarios.md)
	printf '%s\n\n%s\n' "$$frame" "$$reference" > docs/scenarios.md
	page=$$(sed '/^| name |/,$$d' docs/gallery.md; go run ./cmd/peerlab gallery --markdown)
	printf '%s\n' "$$page" > docs/gallery.md

# --- checking ----------------------------------------------------------------

# golangci-lint and benchstat, in the versions of .ci/tools.mod: a module file of
# its own, for they need more modules than Peerlab does.
TOOL := go tool -modfile=.ci/tools.mod

.PHONY: lint
lint: ## golangci-lint, as .golangci.yml chooses, and the list of exported names
	@$(TOOL) golangci-lint run ./...
	$(MAKE) api-unchanged

.PHONY: format
format: ## gofumpt, and imports in order
	@$(TOOL) golangci-lint fmt ./...

# A line for each exported name, without comments.
EXPORTED = for package in $$(go list -f '{{if .GoFiles}}{{.ImportPath}}{{end}}' ./... | grep -Ev '/(internal|cmd|chatpb)/|test$$|^peerlab/e2e$$'); do \
	printf '\n%s\n' "$${package}"; \
	go doc -all "$$package" | sed -En '/^(func|type|var|const) |^	[A-Z]/ { s| *//.*||; s/ *\{$$//; s/  +/ /g; p }'; \
	done

.PHONY: api
api: ## write the exported names of every package into docs/api.txt
	@{ $(EXPORTED); } > docs/api.txt

.PHONY: api-unchanged
api-unchanged:
	@diff -u docs/api.txt <({ $(EXPORTED); }) || { echo 'the exported names have changed: if that is meant, make api writes docs/api.txt anew' >&2; exit 1; }

# Other systems on which peerlab is used; lint looks at this one.
SYSTEMS := linux/arm64 darwin/arm64 windows/amd64

.PHONY: cross
cross: ## go vet for other systems, tests included: linux/arm64, darwin/arm64, windows/amd64
	@for system in $(SYSTEMS); do
		GOOS=$${system%/*} GOARCH=$${system#*/} CGO_ENABLED=0 go vet ./... || { echo "go vet for $$system failed" >&2; exit 1; }
	done

# What a contributor runs all the time. The gallery, and whatever needs Docker, is
# left to make test. Many packages mostly wait, so that more of them run than there
# are processors.
.PHONY: check
check: lint ## quick: lint, and the tests that need neither Docker nor the race detector
	@go test -short -count=1 -p $$((2 * $$(nproc))) -skip '^TestGallery' $$(go list ./... | grep -Ev '$(HOSTED)|^peerlab/e2e$$')

.PHONY: pre-commit
pre-commit: format generate docs api check ## what a commit should have gone through

.PHONY: cover
cover: ## how much of each package its own tests run
	@go test -short -cover $$(go list ./... | grep -Ev '$(HOSTED)|^peerlab/e2e$$') |
		awk '$$1 == "ok" { sub(/%/, "", $$5); printf "%6.1f %%  %s\n", $$5, $$2 }' | sort -n

.PHONY: test
test: unit e2e ## everything: unit tests under the race detector, then the containers

# What takes too long for every change. Each of these tests has a short form in
# make test.
.PHONY: nightly
nightly: ## long tests, in virtual time: every scenario of README and docs with seeds 1 to 500
	@PEERLAB_NIGHTLY=1 go test -count=1 -timeout 4h -run '^TestScenariosOfTheDocs$$' ./scenarios

.PHONY: unit
unit: ## tests that need no Docker, under the race detector, and in virtual time
	@go test -race $$(go list ./... | grep -Ev '$(SIMULATED)|$(HOSTED)|^peerlab/e2e$$')
	go test -race -short -timeout 30m $$(go list ./... | grep -E '$(SIMULATED)')
	go test -timeout 30m $$(go list ./... | grep -E '$(SIMULATED)')

.PHONY: e2e
e2e: ## tests on real containers, of images of their own
	@go test -race -p 1 -timeout 20m $$(go list ./... | grep -E '$(HOSTED)')
	go test -count=1 -timeout 20m -v ./e2e | grep --line-buffered -v '^=== '

.PHONY: gallery
gallery: image ## every scenario of the gallery on containers, both arms
	@go run ./cmd/peerlab run gallery

.PHONY: search
search: $(if $(filter docker,$(ENGINE)),image) ## random fault schedules that must find nothing: make search RUNS=1000 SEED=7 ENGINE=docker
	@go run ./cmd/peerlab explore --engine $(or $(ENGINE),sim) $(if $(SEED),--seed $(SEED)) \
		--runs $(or $(RUNS),$(if $(filter docker,$(ENGINE)),20,1000)) --for $(or $(FOR),$(if $(filter docker,$(ENGINE)),1m,10m))

.PHONY: engines
engines: image ## the gallery on both engines; writes the table in docs/engines-compared.md
	@.build/peerlab compare --write docs/engines-compared.md || (($$? == 3)) # 3: what this host cannot do is skipped

.PHONY: bench
bench: ## benchmarks, into a file: make bench COUNT=10 INTO=.build/old.txt
	@mkdir -p .build
	go test -run '^$$' -bench . -benchmem -count $(or $(COUNT),1) $(UNITS) | tee $(or $(INTO),.build/bench.txt)

.PHONY: bench-compare
bench-compare: ## two files of make bench beside each other: make bench-compare OLD=.build/old.txt NEW=.build/bench.txt
	@$(TOOL) benchstat $(or $(OLD),.build/old.txt) $(or $(NEW),.build/bench.txt)

.PHONY: bench-links
bench-links: ## fifty peers in containers: how fast they start, and how fast all their links change (TUNE_HOST=1 as root makes room for their neighbors)
	@PEERLAB_BENCH=1 PEERLAB_TUNE_HOST=$(TUNE_HOST) go test -count=1 -timeout 20m -v -run '^TestFigure' ./testbed/docker | grep --line-buffered -v '^=== '

.PHONY: bench-rates
bench-rates: ## what links with a rate carry, in network namespaces and in virtual time (root; TCPCC=cubic)
	@PEERLAB_BENCH=1 go test -count=1 -v -run '^TestFigureGoodput$$' ./testbed/fabric ./testbed/sim | grep -E '^ok|^FAIL|\|'

.PHONY: bench-sim
bench-sim: ## peers in virtual time: whole runs, and what the engine takes of them (SIZES="50 200", CHAT=true|false)
	@PEERLAB_BENCH=1 SIZES="$(SIZES)" CHAT="$(CHAT)" go test -count=1 -timeout 4h -v -run '^TestFigureRuns' ./cmd/peerlab | grep --line-buffered peers,
	@SIZES="$(or $(SIZES),50 100 200 400)" CHAT=$(CHAT) go test -run '^$$' -bench Cluster -benchtime 1x -timeout 60m ./testbed/sim

.PHONY: bench-phase
bench-phase: ## what the moment of a kill within a second does to its detection, in virtual time
	@PEERLAB_BENCH=1 go test -count=1 -timeout 1h -v -run '^TestFigurePhase$$' ./testbed/sim | grep --line-buffered -v '^=== '

.PHONY: bench-bootstrap
bench-bootstrap: ## the bootstrap service under load from a second process, for each store (needs etcd)
	@PEERLAB_BENCH=1 go test -count=1 -timeout 20m -v ./bootstrap/bench | grep --line-buffered -v '^=== '

.PHONY: bench-chat
bench-chat: ## the chat beside bare TCP, and its two carriers beside each other
	@PEERLAB_BENCH=1 go test -count=1 -timeout 20m -v ./peer/chat/bench | grep --line-buffered -v '^=== '

.PHONY: fuzz
fuzz: ## each fuzz test for a short while: make fuzz FUZZTIME=1m
	@for package in $(UNITS); do
		for name in $$(go test -list '^Fuzz' "$$package" | grep '^Fuzz' || true); do
			echo "$$package $$name"
			go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$package"
		done
	done
