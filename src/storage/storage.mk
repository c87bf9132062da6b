# How kalam_storage and the tests without Postgres are built.  Included by the
# top Makefile; `make -f src/storage/storage.mk TARGET` works on its own too.
#
#	kalam_storage			the program
#	build/asan/kalam_storage	with AddressSanitizer and UBSan
#	build/tsan/kalam_storage	with ThreadSanitizer
#	build/FLAVOUR/test_segment, build/FLAVOUR/test_storage	unit tests
#	storage-check			all of it, run

STORAGE_CC ?= $(CC)
STORAGE_CFLAGS = -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Werror -fvisibility=hidden -pthread -I.

# The static library, where there is one, reaches RocksDB's thread-local counters
# directly; through the shared one they cost a fifth of a scan.
STORAGE_STATIC_ROCKSDB := $(wildcard $(shell $(CC) -print-file-name=librocksdb.a))
ifneq ($(STORAGE_STATIC_ROCKSDB),)
STORAGE_LIBS = $(STORAGE_STATIC_ROCKSDB) -lsnappy -lbz2 -lz -llz4 -lzstd -lgflags -lstdc++ -lm -ldl
else
STORAGE_LIBS = -lrocksdb -lm
endif

STORAGE_SOURCES = $(sort $(wildcard src/storage/*.c)) src/shared/segment.c
STORAGE_HEADERS = $(wildcard src/storage/*.h src/shared/*.h test/unit/*.h)

STORAGE_FLAVOURS = plain asan tsan
STORAGE_FLAGS_plain =
STORAGE_FLAGS_asan = -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
STORAGE_FLAGS_tsan = -O1 -fsanitize=thread
STORAGE_ENV_plain =
STORAGE_ENV_asan = ASAN_OPTIONS=detect_leaks=1:abort_on_error=0
STORAGE_ENV_tsan = TSAN_OPTIONS="suppressions=$(CURDIR)/test/unit/tsan.supp halt_on_error=1"

define storage_flavour
STORAGE_OBJECTS_$(1) = $$(patsubst %.c,build/$(1)/%.o,$$(STORAGE_SOURCES))

build/$(1)/%.o: %.c $$(STORAGE_HEADERS)
	@mkdir -p $$(@D)
	$$(STORAGE_CC) $$(STORAGE_CFLAGS) $$(STORAGE_FLAGS_$(1)) -c -o $$@ $$<

build/$(1)/kalam_storage: $$(STORAGE_OBJECTS_$(1))
	$$(STORAGE_CC) $$(STORAGE_CFLAGS) $$(STORAGE_FLAGS_$(1)) -o $$@ $$^ $$(STORAGE_LIBS)

build/$(1)/test_segment: build/$(1)/test/unit/test_segment.o build/$(1)/src/shared/segment.o
	$$(STORAGE_CC) $$(STORAGE_CFLAGS) $$(STORAGE_FLAGS_$(1)) -o $$@ $$^

build/$(1)/test_storage: build/$(1)/test/unit/test_storage.o build/$(1)/src/shared/segment.o
	$$(STORAGE_CC) $$(STORAGE_CFLAGS) $$(STORAGE_FLAGS_$(1)) -o $$@ $$^

build/$(1)/storage_bench: build/$(1)/bench/storage_bench.o build/$(1)/src/shared/segment.o
	$$(STORAGE_CC) $$(STORAGE_CFLAGS) $$(STORAGE_FLAGS_$(1)) -o $$@ $$^

.PHONY: storage-check-$(1)
storage-check-$(1): build/$(1)/test_segment build/$(1)/test_storage build/$(1)/kalam_storage
	$$(STORAGE_ENV_$(1)) build/$(1)/test_segment
	$$(STORAGE_ENV_$(1)) build/$(1)/test_storage build/$(1)/kalam_storage
endef

$(foreach f,$(STORAGE_FLAVOURS),$(eval $(call storage_flavour,$(f))))

kalam_storage: build/plain/kalam_storage
	cp $< $@

.PHONY: storage-check
storage-check: $(foreach f,$(STORAGE_FLAVOURS),storage-check-$(f))
