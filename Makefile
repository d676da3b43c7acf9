# garenne: one Makefile, everything below build/.
#
#   make            build/release/garenne
#   make demo       install what is missing, build, show it working
#   make test       install what is missing, build, run every test
#   make check      the fast part of the tests: no root, no network
#   make docs       the part of it that checks the documentation and the installation
#   make lab        the tests with real peers in network namespaces (root)
#   make bench      figures beside other programs, as ratios (root)
#   make quiet      does a branch or an address depend on a secret? (valgrind)
#   make fuzz       fuzz every decoder, FUZZ_RUNS executions each
#   make install    DESTDIR and PREFIX as usual
#
# MODE=asan builds with AddressSanitizer and UBSan, MODE=debug without
# optimisation. V=1 shows the commands.

MODE   ?= release
PREFIX ?= /usr/local
CC     ?= cc
CLANG  ?= clang
B      := build/$(MODE)
V      ?= 0
Q      := $(if $(filter 1,$(V)),,@)

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1.0)
PKGS    := libssl libcrypto libcjson libcares libpcre2-8 libnl-3.0 libbrotlidec zlib libzstd
PKGS    += libqrencode
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lev -lpthread -lm

WARN := -Wall -Wextra -Werror -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wwrite-strings -Wvla -Wformat=2 -Wundef
HARDEN := -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE -fno-strict-aliasing -fno-plt
LDHARDEN := -pie -Wl,-z,relro,-z,now,-z,noexecstack
ifneq ($(filter x86_64%,$(shell uname -m)),)
HARDEN += -fcf-protection
endif

CFLAGS_release := -O2 -g $(HARDEN)
CFLAGS_debug   := -O0 -g
SANITIZE       := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
# Instrumented arithmetic hides its value ranges from -Wconversion.
CFLAGS_asan    := -O1 -g $(SANITIZE) -Wno-conversion
LDFLAGS_release := $(LDHARDEN)
LDFLAGS_asan   := $(SANITIZE)

# lwIP as released, by scripts/fetch-lwip.sh; configured by lwip-port/lwipopts.h.
# Its warnings are not ours to mend.
LWIP      := build/lwip
LWIP_CORE := def inet_chksum init ip mem memp netif pbuf tcp tcp_in tcp_out ipv4/icmp ipv4/ip4 \
	ipv4/ip4_addr ipv6/icmp6 ipv6/ip6 ipv6/ip6_addr ipv6/nd6
LWIP_INC  := -isystem $(LWIP)/src/include -Ilwip-port
LWIP_OBJ  := $(LWIP_CORE:%=$(B)/lwip/%.o)

ALL_CFLAGS := -std=gnu11 -D_GNU_SOURCE -Isrc $(WARN) $(PKG_CFLAGS) $(CFLAGS_$(MODE)) $(CFLAGS)
ALL_LDFLAGS := $(LDFLAGS_$(MODE)) $(LDFLAGS)

SRC   := $(wildcard src/*/*.c)
# The fingerprints of browsers, as text in a C file.
FPS   := $(wildcard configs/fingerprints/*.fp)
OBJ   := $(SRC:src/%.c=$(B)/%.o) $(B)/gen/fingerprints.o
LIB   := $(B)/libgarenne.a
UNIT  := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
.SECONDARY: $(UNIT:%=%.o)
FUZZ  := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_RUNS ?= 10000000
FUZZ_OBJ := $(SRC:src/%.c=build/fuzz/obj/%.o) $(LWIP_CORE:%=build/fuzz/obj/lwip/%.o) \
	build/fuzz/obj/gen/fingerprints.o
FUZZ_CFLAGS := -std=gnu11 -D_GNU_SOURCE -Isrc $(PKG_CFLAGS) -O2 -g -DFUZZING -DGARENNE_VERSION='"fuzz"' \
	-fsanitize=address,undefined -fno-sanitize-recover=all

.PHONY: all demo test check unit replay lint docs deps lab bench quiet fuzz install clean
all: $(B)/garenne

$(B)/garenne: $(B)/main.o $(LIB)
	@echo "  LINK  $@"
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(LIB) $(PKG_LIBS)

$(LIB): $(OBJ) $(LWIP_OBJ)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(B)/%.o: src/%.c Makefile
	@echo "  CC    $<"
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(LWIP)/complete: scripts/fetch-lwip.sh lwip-port/SHA256SUMS
	@echo "  FETCH lwIP"
	@scripts/fetch-lwip.sh

$(LWIP_CORE:%=$(LWIP)/src/core/%.c): $(LWIP)/complete ;

$(B)/lwip/%.o: $(LWIP)/src/core/%.c lwip-port/lwipopts.h Makefile
	@echo "  CC    $<"
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE $(LWIP_INC) $(CFLAGS_$(MODE)) $(CFLAGS) -w -MMD -MP -c -o $@ $<

# Nobody else sees its headers (scripts/check-deps.sh).
$(B)/vpn/%.o build/fuzz/obj/vpn/%.o $(B)/unit/test_tcp_stack.o: ALL_CFLAGS += $(LWIP_INC)
build/fuzz/obj/vpn/%.o: FUZZ_CFLAGS += $(LWIP_INC)
$(filter $(B)/vpn/%,$(OBJ)) $(filter build/fuzz/obj/vpn/%,$(FUZZ_OBJ)): | $(LWIP)/complete

# Loops over arrays of numbers and nothing else: a third faster when vectorised.
PQ_OBJ := $(patsubst %,$(B)/crypto/%.o,keccak mlkem768 mldsa65)
ifeq ($(MODE),release)
$(PQ_OBJ): ALL_CFLAGS += -O3
endif

$(B)/gen/fingerprints.c build/fuzz/obj/gen/fingerprints.c: $(FPS) scripts/embed-fingerprints.sh
	@mkdir -p $(@D)
	$(Q)scripts/embed-fingerprints.sh $(FPS) > $@.tmp && mv $@.tmp $@

$(B)/gen/%.o: $(B)/gen/%.c Makefile
	@echo "  CC    $<"
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# The version changes with every commit: only this object depends on it.
$(B)/app/version.o: ALL_CFLAGS += -DGARENNE_VERSION='"$(VERSION)"'
ifneq ($(shell cat $(B)/version.txt 2>/dev/null),$(VERSION))
$(shell mkdir -p $(B) && echo '$(VERSION)' > $(B)/version.txt)
endif
$(B)/app/version.o: $(B)/version.txt

# Tests are built with assertions and against the library alone.
$(B)/unit/%.o: tests/unit/%.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Wno-missing-prototypes -Itests/unit -MMD -MP -c -o $@ $<

$(B)/unit/%: $(B)/unit/%.o $(LIB)
	@echo "  TEST  $@"
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(LIB) $(PKG_LIBS) -lcmocka

# Programs that measure, each for itself: never part of a test.
$(B)/bench/%: tests/bench/%.c $(LIB)
	@echo "  BENCH $@"
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MMD -MP -MF $@.d -o $@ $< $(LIB) $(PKG_LIBS)

# Programs that valgrind watches.
$(B)/quiet/%: tests/quiet/%.c $(LIB)
	@echo "  TEST  $@"
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MMD -MP -MF $@.d -o $@ $< $(LIB) $(PKG_LIBS)

# A fuzz target linked with a main() that replays files: the corpus is a plain test.
$(B)/replay/%: tests/fuzz/%.c tests/fuzz/replay.c $(LIB)
	@echo "  TEST  $@"
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Wno-missing-prototypes $(ALL_LDFLAGS) -MMD -MP -MF $@.d -o $@ \
		$< tests/fuzz/replay.c $(LIB) $(PKG_LIBS)

# The library once more, instrumented; a target is linked with what it needs of it.
build/fuzz/obj/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

build/fuzz/obj/lwip/%.o: $(LWIP)/src/core/%.c lwip-port/lwipopts.h Makefile
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ_CFLAGS) $(LWIP_INC) -w -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

build/fuzz/obj/gen/%.o: build/fuzz/obj/gen/%.c Makefile
	$(Q)$(CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

# Comparisons in loops over numbers or buckets teach the fuzzer nothing, and are most of what it
# would see.
build/fuzz/obj/crypto/%.o build/fuzz/obj/vpn/tcp_stack.o: FUZZ_CFLAGS += -fno-sanitize-coverage=trace-cmp

build/fuzz/libgarenne.a: $(FUZZ_OBJ)
	$(Q)rm -f $@ && $(AR) rcs $@ $(FUZZ_OBJ)

build/fuzz/%: tests/fuzz/%.c build/fuzz/libgarenne.a
	@echo "  FUZZ  $@"
	$(Q)$(CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer -o $@ $^ $(PKG_LIBS)

# The load generator of the benchmarks; no part of the product.
build/release/load: tests/bench/load.c Makefile
	@echo "  CC    $<"
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE $(WARN) -O2 -g -o $@ $<

unit: $(UNIT)
	@scripts/run-unit.sh $(UNIT)

replay: $(FUZZ:%=$(B)/replay/%)
	@scripts/run-replay.sh $(B)/replay

lint:
	@scripts/check-deps.sh

# What the documentation says must be true: its files load, what is installed works.
docs: $(B)/garenne
	@tests/docs.sh $(B)/garenne
	@MAKE="$(MAKE)" tests/install.sh $(B) $(VERSION)

check: lint unit replay docs

quiet: $(patsubst tests/%.c,$(B)/%,$(wildcard tests/quiet/quiet_*.c))
	@scripts/run-quiet.sh $^

fuzz: $(FUZZ:%=build/fuzz/%)
	@scripts/run-fuzz.sh $(FUZZ_RUNS) $(FUZZ)

deps:
	@scripts/install-deps.sh

demo:
	@scripts/demo.sh

test:
	@scripts/test.sh

lab: $(B)/garenne
	@scripts/lab.sh

bench: $(B)/garenne
	@scripts/install-deps.sh --bench
	@scripts/bench.sh

install: $(B)/garenne
	install -D -m 755 $(B)/garenne $(DESTDIR)$(PREFIX)/bin/garenne
	install -D -m 644 docs/man/garenne.1 $(DESTDIR)$(PREFIX)/share/man/man1/garenne.1
	for u in garenne@ garenne-mesh@; do \
		sed 's|@BINDIR@|$(PREFIX)/bin|' scripts/$$u.service | install -D -m 644 /dev/stdin \
			$(DESTDIR)$(PREFIX)/lib/systemd/system/$$u.service || exit 1; \
	done
	install -D -m 644 scripts/garenne-mesh.rules \
		$(DESTDIR)$(PREFIX)/share/polkit-1/rules.d/50-garenne-mesh.rules

clean:
	rm -rf build

-include $(OBJ:.o=.d) $(LWIP_OBJ:.o=.d) $(FUZZ_OBJ:.o=.d) $(B)/main.d \
	$(wildcard $(B)/quiet/*.d $(B)/unit/*.d $(B)/replay/*.d $(B)/bench/*.d)
