# afluxo. `make help` lists what there is to make. Tests, fuzzers and benches are found by their suffix:
# x_test.c, x_fuzz.c, x_bench.c beside x.c. Nothing here needs editing when a file is added.
BUILD ?= build
ifeq ($(origin CC),default)
CC = gcc
endif
CLANG ?= clang-14
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60
CRASHES ?= 100000
SEED ?= 1
# Restrict to some folders of src/ while working on them: make unit DIRS="base codec"
DIRS ?= $(patsubst src/%/,%,$(sort $(dir $(shell find src -name '*.c'))))
# V=1 shows whole commands
Q = $(if $(V),,@)
say = @$(if $(V),true,echo "  $(1)")

LIBS = -lcurl -lmicrohttpd -lsqlite3 -lcrypto -lcrypt -lsnappy -lzstd -llz4 -lbrotlidec -lbrotlienc -ldeflate -lyaml -lyajl -lexpat -lxxhash -lpcre2-8 -lpthread -lm
WARN = -Wall -Wextra -Wshadow -Wconversion -Wvla -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Werror
CBASE = -std=c17 -D_GNU_SOURCE $(WARN) -Isrc -I. -fno-strict-aliasing -MMD -MP
# gcc's -Wmaybe-uninitialized is a guess that -O3's inlining makes worse; the test build (-O1) keeps it, clang has its exact kin.
REL_FLAGS = -O3 -g1 -DNDEBUG -fPIC $(if $(findstring clang,$(CC)),,-Wno-maybe-uninitialized)
TEST_FLAGS = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -DAF_TEST_BUILD
TSAN_FLAGS = -O1 -g -fsanitize=thread -fno-omit-frame-pointer -DAF_TEST_BUILD
FUZZ_FLAGS = -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -DAF_TEST_BUILD

SRC_ALL := $(sort $(foreach d,$(DIRS),$(wildcard src/$(d)/*.c)))
SRC_TEST := $(filter %_test.c,$(SRC_ALL))
SRC_FUZZ := $(filter %_fuzz.c,$(SRC_ALL))
# Those of bench/ need the engine.
SRC_BENCH := $(filter %_bench.c,$(SRC_ALL)) $(if $(filter tsm,$(DIRS)),$(wildcard bench/*.c))
SRC_LIB := $(filter-out %_test.c %_fuzz.c %_bench.c src/cli/main.c src/cli/bootstrap.c,$(SRC_ALL))
TEST_LIB := $(filter-out test/lib/fuzz_main.c,$(wildcard test/lib/*.c))

obj = $(patsubst %.c,$(BUILD)/$(1)/%.o,$(2))
# Taken into the object by the assembler, of which the compiler says nothing.
$(foreach k,rel asan tsan fuzz static,$(BUILD)/$(k)/src/costs/prices.o): src/costs/prices.yaml

.DEFAULT_GOAL := all
.PHONY: all help clean unit tsan-unit fuzzers replayers benches demo test check-all check-extra bench differential fuzz tidy lambda clang-suite tsan sim \
        install deb wheel docs infra
all: $(BUILD)/afluxo $(BUILD)/libafluxo.a $(BUILD)/libafluxo.so

help:
	@echo "make demo        install what is missing, build, move sample data into a real InfluxDB and verify it"
	@echo "make test        install what the tests need, run all core tests (last line: N passed, N failed)"
	@echo "make             build/afluxo and build/libafluxo.{a,so}"
	@echo "make check-all   the core tests and those that need PyPI"
	@echo "make infra       the tests that need Terraform and its AWS provider"
	@echo "make bench       benchmarks beside their peers, as ratios"
	@echo "make differential  QUERIES=$(QUERIES) random queries, answers compared with influxd's"
	@echo "make fuzz        every fuzz target for FUZZ_SECONDS=$(FUZZ_SECONDS) (F=parquet: only those)"
	@echo "make tsan        the concurrent rooms' tests under ThreadSanitizer"
	@echo "make sim         power cuts: CRASHES=$(CRASHES) disks as a crash may leave them, opened and compared with a model"
	@echo "make lambda      function.zip for AWS Lambda, x86_64 and arm64: static, the same bytes for the same source"
	@echo "make tidy        layers, headers, banned calls, sizes of functions"
	@echo "make install PREFIX=/usr/local,   make deb   and   make wheel (for Python)"

# --- release -------------------------------------------------------------------------------------------------------------
$(BUILD)/rel/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC $<)
	$(Q)$(CC) $(CBASE) $(REL_FLAGS) -c $< -o $@
$(BUILD)/libafluxo.a: $(call obj,rel,$(SRC_LIB))
	@rm -f $@
	$(call say,LD $@)
	$(Q)ar rcs $@ $^
$(BUILD)/libafluxo.so: $(call obj,rel,$(SRC_LIB))
	$(call say,LD $@)
	$(Q)$(CC) -shared -o $@ $^ $(LIBS)
# For Python: what src/ffi/afluxo.h declares, and nothing else. Linked in: libcrypt (see python/arc4random.c), and libexpat, which wheels may
# expect of a system by manylinux's rules and small images do not have.
$(BUILD)/python/libafluxo.so: $(call obj,rel,$(filter src/ffi/%,$(SRC_LIB)) python/arc4random.c) $(BUILD)/libafluxo.a src/ffi/afluxo.map
	@mkdir -p $(@D)
	$(call say,LD $@)
	$(Q)$(CC) -shared -s -Wl,--version-script=src/ffi/afluxo.map -Wl,--as-needed -o $@ $(filter %.o %.a,$^) $(patsubst -lexpat,-l:libexpat.a,$(patsubst -lcrypt,-l:libcrypt.a,$(LIBS)))
$(BUILD)/afluxo: $(BUILD)/rel/src/cli/main.o $(BUILD)/libafluxo.a
	$(call say,LD $@)
	$(Q)$(CC) -o $@ $^ $(LIBS)

# The program of function.zip (tools/lambda): static, from the libraries below SYSROOT, for TRIPLE. The same source gives the same bytes.
STATIC_FLAGS = -O2 -g0 -DNDEBUG -fPIE -ffunction-sections -fdata-sections -ffile-prefix-map=$(CURDIR)=. -Wno-maybe-uninitialized \
               $(STATIC_ARCH) -isystem $(SYSROOT)/include -isystem $(SYSROOT)/include/$(TRIPLE)
STATIC_LIBS = -lcurl -lssl -lcrypto -lsqlite3 -lcrypt -lsnappy -lzstd -llz4 -lbrotlidec -lbrotlienc -lbrotlicommon -ldeflate -lyaml -lyajl_s \
              -lexpat -lxxhash -lpcre2-8 -lz -lstdc++ -lm
$(BUILD)/static/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC $(TRIPLE) $<)
	$(Q)$(CC) $(CBASE) $(STATIC_FLAGS) -c $< -o $@
$(BUILD)/libafluxo-static.a: $(call obj,static,$(SRC_LIB))
	@rm -f $@
	$(Q)$(CC:gcc=ar) rcsD $@ $^
$(BUILD)/bootstrap: $(BUILD)/static/src/cli/bootstrap.o $(BUILD)/libafluxo-static.a
	$(call say,LD $@)
	$(Q)$(CC) -static-pie -s -Wl,--gc-sections -Wl,--build-id=none -Wl,-z,relro,-z,now -L$(SYSROOT)/lib/$(TRIPLE) -o $@ $^ $(STATIC_LIBS)

# --- tests: one program with every unit test, under ASan and UBSan; tsan: the same under TSan ------------------------------------------
$(BUILD)/asan/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC asan $<)
	$(Q)$(CC) $(CBASE) $(TEST_FLAGS) -c $< -o $@
$(BUILD)/unit: $(call obj,asan,$(SRC_LIB) $(SRC_TEST) $(TEST_LIB))
	$(call say,LD $@)
	$(Q)$(CC) $(TEST_FLAGS) -o $@ $^ $(LIBS)
$(BUILD)/afluxo-asan: $(call obj,asan,$(SRC_LIB) src/cli/main.c)
	$(call say,LD $@)
	$(Q)$(CC) $(TEST_FLAGS) -o $@ $^ $(LIBS)
unit: $(BUILD)/unit
	$(BUILD)/unit $(ONLY)
$(BUILD)/tsan/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC tsan $<)
	$(Q)$(CC) $(CBASE) $(TSAN_FLAGS) -c $< -o $@
$(BUILD)/unit-tsan: $(call obj,tsan,$(SRC_LIB) $(SRC_TEST) $(TEST_LIB))
	$(call say,LD $@)
	$(Q)$(CC) $(TSAN_FLAGS) -o $@ $^ $(LIBS)
tsan-unit: $(BUILD)/unit-tsan
	$(BUILD)/unit-tsan $(ONLY)

# --- fuzzers: with libFuzzer under clang; test/lib/fuzz_main.c replays the corpus where there is no clang -----------------------------
$(BUILD)/fuzz/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC fuzz $<)
	$(Q)$(CLANG) $(CBASE) $(FUZZ_FLAGS) -c $< -o $@
FUZZERS := $(patsubst %.c,$(BUILD)/fuzz/%,$(notdir $(SRC_FUZZ)))
define fuzz_rule
$(BUILD)/fuzz/$(notdir $(1:.c=)): $(call obj,fuzz,$(SRC_LIB) $(1))
	@mkdir -p $$(@D)
	$$(call say,LD $$@)
	$(Q)$(CLANG) $(subst fuzzer-no-link,fuzzer,$(FUZZ_FLAGS)) -o $$@ $$^ $(LIBS)
endef
$(foreach f,$(SRC_FUZZ),$(eval $(call fuzz_rule,$(f))))
fuzzers: $(FUZZERS)
# The same targets over their corpus, with the sanitizer build of the tests: what make test runs.
REPLAYERS := $(patsubst %.c,$(BUILD)/replay/%,$(notdir $(SRC_FUZZ)))
define replay_rule
$(BUILD)/replay/$(notdir $(1:.c=)): $(call obj,asan,$(SRC_LIB) $(1) test/lib/fuzz_main.c)
	@mkdir -p $$(@D)
	$$(call say,LD $$@)
	$(Q)$(CC) $(TEST_FLAGS) -o $$@ $$^ $(LIBS)
endef
$(foreach f,$(SRC_FUZZ),$(eval $(call replay_rule,$(f))))
replayers: $(REPLAYERS)

# --- benches: a program each, release flags --------------------------------------------------------------------------------
define bench_rule
$(BUILD)/bench/$(notdir $(1:.c=)): $(BUILD)/rel/$(1:.c=.o) $(BUILD)/libafluxo.a
	@mkdir -p $$(@D)
	$(CC) -o $$@ $$^ $(LIBS)
endef
$(foreach f,$(SRC_BENCH),$(eval $(call bench_rule,$(f))))
benches: $(patsubst %.c,$(BUILD)/bench/%,$(notdir $(SRC_BENCH)))

# --- what people type ------------------------------------------------------------------------------------------------------------
# function.zip for Lambda (provided.al2023), both architectures.
lambda:
	@tools/install.sh core lambda
	@tools/lambda/build.sh amd64 $(BUILD)/lambda/x86_64
	@tools/lambda/build.sh arm64 $(BUILD)/lambda/arm64
demo:
	@tools/install.sh core influxdb
	@$(MAKE) --no-print-directory -j$$(nproc) $(BUILD)/afluxo
	@tools/demo.sh $(BUILD)/afluxo
test:
	@tools/install.sh core influxdb test
	@$(MAKE) --no-print-directory -j$$(nproc) all $(BUILD)/unit $(BUILD)/afluxo-asan replayers
	@BUILD=$(BUILD) tools/test.sh core
check-extra:
	@tools/install.sh core influxdb test extra bench lambda
	@$(MAKE) --no-print-directory -j$$(nproc) all benches $(BUILD)/python/libafluxo.so
	@BUILD=$(BUILD) tools/test.sh extra
# Terraform itself is in no registry that install.sh uses: without it these tests fail and say so.
infra:
	@tools/install.sh core influxdb test extra policy
	@$(MAKE) --no-print-directory -j$$(nproc) $(BUILD)/afluxo $(BUILD)/afluxo-asan
	@BUILD=$(BUILD) tools/test.sh infra
check-all:
	@$(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory check-extra
# Random queries asked of influxd and of afluxo: the same answers?
QUERIES ?= 100000
differential:
	@tools/install.sh core influxdb test
	@$(MAKE) --no-print-directory -j$$(nproc) $(BUILD)/afluxo-asan
	@AFLUXO_ASAN=$(BUILD)/afluxo-asan AFLUXO_TEST_QUERIES=$(QUERIES) python3 -W ignore test/e2e/test_influxql_differential.py
bench:
	@tools/install.sh core influxdb extra bench
	@$(MAKE) --no-print-directory -j$$(nproc) all benches $(BUILD)/python/libafluxo.so
	@BUILD=$(BUILD) bench/run.sh
fuzz:
	@tools/install.sh core fuzz
	@$(MAKE) --no-print-directory -j$$(nproc) fuzzers
	@BUILD=$(BUILD) SECONDS_EACH=$(FUZZ_SECONDS) ONLY="$(F)" tools/fuzz.sh
tsan:
	@tools/install.sh core influxdb test
	@$(MAKE) --no-print-directory -j$$(nproc) $(BUILD)/unit-tsan
	@$(BUILD)/unit-tsan src/sink/ src/ingest/ src/store/ src/net/ src/remote/ src/os/ src/data/ src/verify/ src/tsm/ src/meta/ src/server/ src/aws/ src/load/ src/fleet/
sim:
	@tools/install.sh core influxdb test
	@$(MAKE) --no-print-directory -j$$(nproc) $(BUILD)/unit
	@AFLUXO_SIM_COUNT=$(CRASHES) AFLUXO_SIM_SEED=$(SEED) $(BUILD)/unit src/tsm/crash_test
tidy:
	@tools/tidy.sh
# The whole program under clang, warnings as errors: one test.
clang-suite:
	@if $(MAKE) --no-print-directory BUILD=$(BUILD)/clang CC=$(CLANG) -j$$(nproc) $(BUILD)/clang/afluxo; \
	then echo "1 passed, 0 failed"; else echo "0 passed, 1 failed"; fi

docs: docs/limits.md
	@python3 tools/infra_docs.py
docs/limits.md: src/base/limits.h tools/limits.awk
	awk -f tools/limits.awk $< >$@

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib $(DESTDIR)$(PREFIX)/share/man/man1 \
	           $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	install -m 755 $(BUILD)/afluxo $(DESTDIR)$(PREFIX)/bin/afluxo
	install -m 644 $(BUILD)/libafluxo.a $(BUILD)/libafluxo.so $(DESTDIR)$(PREFIX)/lib/
	$(BUILD)/afluxo man >$(DESTDIR)$(PREFIX)/share/man/man1/afluxo.1
	$(BUILD)/afluxo completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/afluxo
	$(BUILD)/afluxo completion fish >$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/afluxo.fish
deb: all
	@tools/deb.sh $(BUILD)
# A wheel with libafluxo and the libraries it needs, for every Python from 3.9 on: $(BUILD)/python/dist
wheel:
	@tools/install.sh core wheel
	@$(MAKE) --no-print-directory -j$$(nproc) $(BUILD)/python/libafluxo.so
	@BUILD=$(BUILD) python/wheel.sh

clean:
	rm -rf $(BUILD)

-include $(shell test -d $(BUILD) && find $(BUILD) -type f -name '*.d')
