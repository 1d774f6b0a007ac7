# afluxo. `make help` lists what there is to make. Tests, fuzzers and benches are found by their suffix:
# x_test.c, x_fuzz.c, x_bench.c beside x.c. Nothing here needs editing when a file is added.
BUILD ?= build
CC ?= gcc
CLANG ?= clang-14
# Restrict to some folders of src/ while working on them: make unit DIRS="base codec"
DIRS ?= $(patsubst src/%/,%,$(sort $(dir $(shell find src -name '*.c'))))

LIBS = -lcurl -lsnappy -lzstd -llz4 -lbrotlidec -lbrotlienc -ldeflate -lyaml -lyajl -lxxhash -lpthread -lm
WARN = -Wall -Wextra -Wshadow -Wconversion -Wvla -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Werror
CBASE = -std=c17 -D_GNU_SOURCE $(WARN) -Isrc -I. -fno-strict-aliasing -fvisibility=hidden -MMD -MP
REL_FLAGS = -O3 -g1 -DNDEBUG -fPIC
TEST_FLAGS = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -DAF_TEST_BUILD
TSAN_FLAGS = -O1 -g -fsanitize=thread -fno-omit-frame-pointer -DAF_TEST_BUILD
FUZZ_FLAGS = -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -DAF_TEST_BUILD

SRC_ALL := $(sort $(foreach d,$(DIRS),$(wildcard src/$(d)/*.c)))
SRC_TEST := $(filter %_test.c,$(SRC_ALL))
SRC_FUZZ := $(filter %_fuzz.c,$(SRC_ALL))
SRC_BENCH := $(filter %_bench.c,$(SRC_ALL))
SRC_LIB := $(filter-out %_test.c %_fuzz.c %_bench.c src/cli/main.c,$(SRC_ALL))
TEST_LIB := $(wildcard test/lib/*.c)

obj = $(patsubst %.c,$(BUILD)/$(1)/%.o,$(2))

.DEFAULT_GOAL := all
.PHONY: all help clean unit tsan-unit fuzzers benches FORCE
all: $(BUILD)/afluxo $(BUILD)/libafluxo.a $(BUILD)/libafluxo.so

# --- release -------------------------------------------------------------------------------------------------------------
$(BUILD)/rel/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CBASE) $(REL_FLAGS) -c $< -o $@
$(BUILD)/libafluxo.a: $(call obj,rel,$(SRC_LIB))
	@rm -f $@
	ar rcs $@ $^
$(BUILD)/libafluxo.so: $(call obj,rel,$(SRC_LIB))
	$(CC) -shared -o $@ $^ $(LIBS)
$(BUILD)/afluxo: $(BUILD)/rel/src/cli/main.o $(BUILD)/libafluxo.a
	$(CC) -o $@ $^ $(LIBS)

# --- tests: one program with every unit test, under ASan and UBSan; tsan: the same under TSan ------------------------------------------
$(BUILD)/asan/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CBASE) $(TEST_FLAGS) -c $< -o $@
$(BUILD)/unit: $(call obj,asan,$(SRC_LIB) $(SRC_TEST) $(TEST_LIB))
	$(CC) $(TEST_FLAGS) -o $@ $^ $(LIBS)
$(BUILD)/afluxo-asan: $(call obj,asan,$(SRC_LIB) src/cli/main.c)
	$(CC) $(TEST_FLAGS) -o $@ $^ $(LIBS)
unit: $(BUILD)/unit
	$(BUILD)/unit $(ONLY)
$(BUILD)/tsan/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CBASE) $(TSAN_FLAGS) -c $< -o $@
$(BUILD)/unit-tsan: $(call obj,tsan,$(SRC_LIB) $(SRC_TEST) $(TEST_LIB))
	$(CC) $(TSAN_FLAGS) -o $@ $^ $(LIBS)
tsan-unit: $(BUILD)/unit-tsan
	$(BUILD)/unit-tsan $(ONLY)

# --- fuzzers: with libFuzzer under clang; test/lib/fuzz_main.c replays the corpus where there is no clang -----------------------------
$(BUILD)/fuzz/%.o: %.c
	@mkdir -p $(@D)
	$(CLANG) $(CBASE) $(FUZZ_FLAGS) -c $< -o $@
FUZZERS := $(patsubst %.c,$(BUILD)/fuzz/%,$(notdir $(SRC_FUZZ)))
define fuzz_rule
$(BUILD)/fuzz/$(notdir $(1:.c=)): $(call obj,fuzz,$(SRC_LIB) $(1))
	$(CLANG) $(subst fuzzer-no-link,fuzzer,$(FUZZ_FLAGS)) -o $$@ $$^ $(LIBS)
endef
$(foreach f,$(SRC_FUZZ),$(eval $(call fuzz_rule,$(f))))
fuzzers: $(FUZZERS)

# --- benches: a program each, release flags --------------------------------------------------------------------------------
define bench_rule
$(BUILD)/bench/$(notdir $(1:.c=)): $(BUILD)/rel/$(1:.c=.o) $(BUILD)/libafluxo.a
	@mkdir -p $$(@D)
	$(CC) -o $$@ $$^ $(LIBS)
endef
$(foreach f,$(SRC_BENCH),$(eval $(call bench_rule,$(f))))
benches: $(patsubst %.c,$(BUILD)/bench/%,$(notdir $(SRC_BENCH)))

clean:
	rm -rf $(BUILD)

-include $(shell test -d $(BUILD) && find $(BUILD) -name '*.d')
