# Unit tests and fuzzers of what has no PostgreSQL in it (src/shared), and
# fuzzers of parsers of the storage program, without RocksDB.
#
#   make unit-check          the tests
#   make model-check         searches through interleavings (test/unit/model.h), in code
#                            built for that, and mutants of it that they must notice
#   make unit-check-asan     under AddressSanitizer and UBSan
#   make unit-check-tsan     under ThreadSanitizer
#   make fuzz-check          each fuzzer for UNIT_FUZZ_SECONDS
#   make bench-cache         what operations on a shared cache cost (bench/cache_bench.c)
#
# Included by the Makefile; works on its own too: make -f test/unit/unit.mk unit-check
# A test NAME is test/unit/test_NAME.c, linked with the sources that
# UNIT_SOURCES_NAME lists; a fuzzer the same way from test/fuzz/fuzz_NAME.c.

UNIT_TESTS = names cache cache_room cache_threads keycodec staged changes record_list catalog rowprog rowagg load_watch load_pool
UNIT_MODELS = model names_model cache_model
UNIT_FUZZERS = keycodec staged changes catalog rowprog rowagg change_stream key_stream load_stream scan_input

UNIT_SOURCES_names = src/shared/names.c src/shared/segment.c
UNIT_SOURCES_keycodec = src/shared/keycodec.c
UNIT_SOURCES_staged = src/shared/staged.c
UNIT_SOURCES_changes = src/shared/staged.c src/shared/changes.c src/shared/changes_scan.c \
	src/shared/run.c src/shared/key_filter.c src/shared/segment.c
UNIT_SOURCES_record_list = src/shared/record_list.c $(UNIT_SOURCES_changes)
UNIT_SOURCES_cache = src/shared/cache.c src/shared/cache_arena.c src/shared/cache_hand.c \
	src/shared/cache_layout.c src/shared/cache_put.c src/shared/segment.c
UNIT_SOURCES_cache_room = $(UNIT_SOURCES_cache)
UNIT_SOURCES_catalog = src/shared/catalog.c
UNIT_SOURCES_rowprog = src/shared/rowprog.c src/shared/rowvalue.c src/shared/rowread.c
UNIT_SOURCES_rowagg = src/shared/rowagg.c src/shared/rowvalue.c src/shared/rowread.c src/shared/segment.c
UNIT_SOURCES_load_pool = src/storage/load_pool.c
UNIT_SOURCES_load_watch = src/storage/load_watch.c src/storage/key_notes.c src/shared/segment.c
UNIT_SOURCES_cache_threads = $(UNIT_SOURCES_cache)
UNIT_SOURCES_model = test/unit/model.c
UNIT_SOURCES_names_model = test/unit/model.c $(UNIT_SOURCES_names)
UNIT_SOURCES_cache_model = test/unit/model.c $(UNIT_SOURCES_cache)
UNIT_SOURCES_change_stream = src/storage/change_stream.c
UNIT_SOURCES_key_stream = src/storage/key_stream.c
UNIT_SOURCES_load_stream = src/storage/load_stream.c
UNIT_SOURCES_scan_input = src/storage/scan_input.c src/shared/rowprog.c $(UNIT_SOURCES_rowagg)

UNIT_FUZZ_SECONDS ?= 10

UNIT_CC ?= gcc
UNIT_CLANG ?= clang
UNIT_CFLAGS = -std=gnu11 -Wall -Wextra -Werror -g -I. -MMD -MP
UNIT_FLAGS_plain = -O2
UNIT_FLAGS_asan = -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all -DKALAM_CHECKED
UNIT_FLAGS_tsan = -O1 -fno-omit-frame-pointer -fsanitize=thread -DKALAM_CHECKED
UNIT_FLAGS_libfuzzer = -O1 -fno-omit-frame-pointer -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
UNIT_FLAGS_model = -O3 -DKALAM_ATOMICS='"test/unit/model_atomics.h"' \
	-DKALAM_CACHE_WAYS=2 -DKALAM_CACHE_TICKETS=2 -DREFUSALS=1
UNIT_CC_plain = $(UNIT_CC)
UNIT_CC_model = $(UNIT_CC)
UNIT_CC_asan = $(UNIT_CC)
UNIT_CC_tsan = $(UNIT_CC)
UNIT_CC_libfuzzer = $(UNIT_CLANG)

UNIT_BUILD = build

# ---- objects and programs of one flavour: build/FLAVOUR/unit/ ----

define UNIT_FLAVOUR
$(UNIT_BUILD)/$(1)/unit/%.o: %.c test/unit/unit.mk
	@mkdir -p $$(@D)
	$$(UNIT_CC_$(1)) $$(UNIT_CFLAGS) $$(UNIT_FLAGS_$(1)) -c -o $$@ $$<
endef

define UNIT_TEST_PROGRAM
$(UNIT_BUILD)/$(1)/unit/test_$(2): $(UNIT_BUILD)/$(1)/unit/test/unit/test_$(2).o \
		$(UNIT_SOURCES_$(2):%.c=$(UNIT_BUILD)/$(1)/unit/%.o)
	$$(UNIT_CC_$(1)) $$(UNIT_FLAGS_$(1)) -o $$@ $$^ -lm -lpthread
endef

define UNIT_FUZZ_PROGRAM
$(UNIT_BUILD)/$(1)/unit/fuzz_$(2): $(UNIT_BUILD)/$(1)/unit/test/fuzz/fuzz_$(2).o \
		$(3) $(UNIT_SOURCES_$(2):%.c=$(UNIT_BUILD)/$(1)/unit/%.o)
	$$(UNIT_CC_$(1)) $$(UNIT_FLAGS_$(1)) -o $$@ $$^ -lm
endef

$(foreach f,plain model asan tsan libfuzzer,$(eval $(call UNIT_FLAVOUR,$(f))))
$(foreach f,plain asan tsan,$(foreach t,$(UNIT_TESTS),$(eval $(call UNIT_TEST_PROGRAM,$(f),$(t)))))
$(foreach t,$(UNIT_MODELS),$(eval $(call UNIT_TEST_PROGRAM,model,$(t))))
$(foreach t,$(UNIT_FUZZERS),$(eval $(call UNIT_FUZZ_PROGRAM,libfuzzer,$(t),)))
$(foreach t,$(UNIT_FUZZERS),$(eval $(call UNIT_FUZZ_PROGRAM,asan,$(t),$(UNIT_BUILD)/asan/unit/test/fuzz/driver.o)))

# Runs the tests that these are, all of them also when one fails.
define UNIT_RUN
	@status=0; \
	for t in $(1); do \
		UBSAN_OPTIONS=print_stacktrace=1 $$t || status=1; \
	done; exit $$status
endef

.PHONY: unit-check model-check unit-check-asan unit-check-tsan fuzz-check fuzz-check-libfuzzer fuzz-check-driver

unit-check: $(UNIT_TESTS:%=$(UNIT_BUILD)/plain/unit/test_%)
	$(call UNIT_RUN,$^)

model-check: $(UNIT_MODELS:%=$(UNIT_BUILD)/model/unit/test_%)
	$(call UNIT_RUN,$^)
	test/unit/cache_mutants $(UNIT_BUILD)/mutants $(UNIT_CC) $(UNIT_FLAGS_model)

unit-check-asan: $(UNIT_TESTS:%=$(UNIT_BUILD)/asan/unit/test_%)
	$(call UNIT_RUN,$^)

unit-check-tsan: $(UNIT_TESTS:%=$(UNIT_BUILD)/tsan/unit/test_%)
	$(call UNIT_RUN,$^)

# ---- the shared cache alone ----

$(UNIT_BUILD)/plain/unit/cache_bench: $(UNIT_BUILD)/plain/unit/bench/cache_bench.o \
		$(UNIT_SOURCES_cache:%.c=$(UNIT_BUILD)/plain/unit/%.o)
	$(UNIT_CC_plain) $(UNIT_FLAGS_plain) -o $@ $^ -lpthread

.PHONY: bench-cache
bench-cache: $(UNIT_BUILD)/plain/unit/cache_bench
	$< $(BENCH_ARGS)

# ---- fuzzers: libFuzzer where clang has it, else the driver ----

fuzz-check:
	@mkdir -p $(UNIT_BUILD)/libfuzzer/unit
	@if echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return 0 * (d == 0 && n); }' | \
		$(UNIT_CLANG) -fsanitize=fuzzer,address -x c -o $(UNIT_BUILD)/libfuzzer/unit/probe - 2>/dev/null; \
	then $(MAKE) -f $(firstword $(MAKEFILE_LIST)) fuzz-check-libfuzzer; \
	else $(MAKE) -f $(firstword $(MAKEFILE_LIST)) fuzz-check-driver; fi

fuzz-check-libfuzzer: $(UNIT_FUZZERS:%=$(UNIT_BUILD)/libfuzzer/unit/fuzz_%)
	@status=0; \
	for t in $(UNIT_FUZZERS); do \
		corpus=$(UNIT_BUILD)/libfuzzer/unit/corpus_$$t; mkdir -p $$corpus; \
		if $(UNIT_BUILD)/libfuzzer/unit/fuzz_$$t -max_total_time=$(UNIT_FUZZ_SECONDS) -max_len=2048 \
			-artifact_prefix=$(UNIT_BUILD)/libfuzzer/unit/$$t- $$corpus \
			>$$corpus.log 2>&1; \
		then tail -n 1 $$corpus.log; echo "fuzz_$$t: 1 passed, 0 failed"; \
		else tail -n 40 $$corpus.log; echo "fuzz_$$t: 0 passed, 1 failed"; status=1; fi; \
	done; exit $$status

fuzz-check-driver: $(UNIT_FUZZERS:%=$(UNIT_BUILD)/asan/unit/fuzz_%)
	@status=0; \
	for t in $(UNIT_FUZZERS); do \
		if $(UNIT_BUILD)/asan/unit/fuzz_$$t -seconds=$(UNIT_FUZZ_SECONDS); \
		then echo "fuzz_$$t: 1 passed, 0 failed"; \
		else echo "fuzz_$$t: 0 passed, 1 failed"; status=1; fi; \
	done; exit $$status

-include $(foreach f,plain model asan tsan libfuzzer,$(wildcard $(UNIT_BUILD)/$(f)/unit/*/*/*.d))
