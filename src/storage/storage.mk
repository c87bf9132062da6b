# How kalam_storage and the tests without Postgres are built.  Included by the
# top Makefile; `make -f src/storage/storage.mk TARGET` works on its own too.
#
#	kalam_storage			the program
#	build/asan/kalam_storage	with AddressSanitizer and UBSan
#	build/tsan/kalam_storage	with ThreadSanitizer
#	build/stop/kalam_storage	with the stop points of stop_point.h
#	build/FLAVOUR/test_segment, test_storage, test_lists, test_filter, test_split, test_bulk, test_loads, test_sorter, test_load_busy, test_full_disk, test_damage	unit tests
#	build/plain/test_stops, test_truth	deaths at stop points; want build/stop/kalam_storage
#	storage-check			all of it, run

STORAGE_CC ?= $(CC)
STORAGE_CXX ?= $(CXX)
STORAGE_CXXFLAGS = -std=gnu++20 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Werror -fvisibility=hidden -pthread -I.
STORAGE_CFLAGS = -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Werror -fvisibility=hidden -pthread -I.

# The static library, where there is one, reaches RocksDB's thread-local counters
# directly; through the shared one they cost a fifth of a scan.
STORAGE_STATIC_ROCKSDB := $(wildcard $(shell $(CC) -print-file-name=librocksdb.a))
ifneq ($(STORAGE_STATIC_ROCKSDB),)
STORAGE_LIBS_plain = $(STORAGE_STATIC_ROCKSDB) -lsnappy -lbz2 -lz -llz4 -lzstd -lgflags -lstdc++ -lm -ldl
else
STORAGE_LIBS_plain = -lrocksdb -lstdc++ -lm
endif
STORAGE_LIBS_asan = $(STORAGE_LIBS_plain)
STORAGE_LIBS_stop = $(STORAGE_LIBS_plain)


STORAGE_SOURCES = $(sort $(wildcard src/storage/*.c)) src/shared/segment.c src/shared/key_filter.c \
	$(sort $(wildcard src/shared/row*.c)) src/shared/catalog.c
STORAGE_CXX_SOURCES = $(sort $(wildcard src/storage/*.cc))
STORAGE_HEADERS = $(wildcard src/storage/*.h src/shared/*.h test/unit/*.h)

# Suppressions of ThreadSanitizer can then name the library.
STORAGE_LIBS_tsan = -lrocksdb -lstdc++ -lm

STORAGE_FLAVOURS = plain asan tsan stop
STORAGE_FLAGS_plain =
STORAGE_FLAGS_asan = -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
STORAGE_FLAGS_tsan = -O1 -fsanitize=thread
STORAGE_FLAGS_stop = -DKALAM_STOP_POINTS
# (What is in C++ is but a layer over RocksDB, which ThreadSanitizer cannot see through.)
STORAGE_CXXFLAGS_asan = -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-sanitize=vptr -fno-omit-frame-pointer
STORAGE_ENV_plain =
STORAGE_ENV_asan = ASAN_OPTIONS=detect_leaks=1:abort_on_error=0
STORAGE_ENV_tsan = TSAN_OPTIONS="suppressions=$(CURDIR)/test/unit/tsan.supp halt_on_error=1"

define storage_flavour
STORAGE_OBJECTS_$(1) = $$(patsubst %.c,build/$(1)/%.o,$$(STORAGE_SOURCES)) \
	$$(patsubst %.cc,build/$(1)/%.o,$$(STORAGE_CXX_SOURCES))

build/$(1)/%.o: %.cc $$(STORAGE_HEADERS)
	@mkdir -p $$(@D)
	$$(STORAGE_CXX) $$(STORAGE_CXXFLAGS) $$(STORAGE_CXXFLAGS_$(1)) -c -o $$@ $$<

build/$(1)/%.o: %.c $$(STORAGE_HEADERS)
	@mkdir -p $$(@D)
	$$(STORAGE_CC) $$(STORAGE_CFLAGS) $$(STORAGE_FLAGS_$(1)) -c -o $$@ $$<

build/$(1)/kalam_storage: $$(STORAGE_OBJECTS_$(1))
	$$(STORAGE_CC) $$(STORAGE_CFLAGS) $$(STORAGE_FLAGS_$(1)) -o $$@ $$^ $$(STORAGE_LIBS_$(1))

build/$(1)/test_filter: $$(patsubst %.c,build/$(1)/%.o,$$(sort $$(wildcard src/shared/row*.c)))

build/$(1)/test_%: build/$(1)/test/unit/test_%.o build/$(1)/src/shared/segment.o
	$$(STORAGE_CC) $$(STORAGE_CFLAGS) $$(STORAGE_FLAGS_$(1)) -o $$@ $$^

# Over the storage program's own code, in the same process.
build/$(1)/test_sorter: build/$(1)/test/unit/test_sorter.o $$(filter-out %/main.o,$$(STORAGE_OBJECTS_$(1)))
	$$(STORAGE_CC) $$(STORAGE_CFLAGS) $$(STORAGE_FLAGS_$(1)) -o $$@ $$^ $$(STORAGE_LIBS_$(1))

build/$(1)/storage_bench: build/$(1)/bench/storage_bench.o build/$(1)/src/shared/segment.o
	$$(STORAGE_CC) $$(STORAGE_CFLAGS) $$(STORAGE_FLAGS_$(1)) -o $$@ $$^

endef

$(foreach f,$(STORAGE_FLAVOURS),$(eval $(call storage_flavour,$(f))))

kalam_storage: build/$(if $(CHECKED),stop,plain)/kalam_storage
	cp $< $@

.PHONY: storage-check storage-check-plain storage-check-asan storage-check-tsan

define storage_run
	$(STORAGE_ENV_$(1)) build/$(1)/test_segment
	$(STORAGE_ENV_$(1)) build/$(1)/test_storage build/$(1)/kalam_storage
	$(STORAGE_ENV_$(1)) build/$(1)/test_lists build/$(1)/kalam_storage
	$(STORAGE_ENV_$(1)) build/$(1)/test_filter build/$(1)/kalam_storage
	$(STORAGE_ENV_$(1)) build/$(1)/test_split build/$(1)/kalam_storage
	$(STORAGE_ENV_$(1)) build/$(1)/test_bulk build/$(1)/kalam_storage
	$(STORAGE_ENV_$(1)) build/$(1)/test_loads build/$(1)/kalam_storage
	$(STORAGE_ENV_$(1)) build/$(1)/test_sorter
	$(STORAGE_ENV_$(1)) build/$(1)/test_load_busy build/$(1)/kalam_storage
endef

STORAGE_TESTS = test_segment test_storage test_lists test_filter test_split test_bulk test_loads test_sorter test_load_busy test_full_disk test_damage kalam_storage

storage-check-plain: $(STORAGE_TESTS:%=build/plain/%) build/plain/test_stops build/plain/test_truth build/stop/kalam_storage
	$(call storage_run,plain)
	build/plain/test_stops build/stop/kalam_storage
	build/plain/test_truth build/stop/kalam_storage
	build/plain/test_full_disk build/plain/kalam_storage
	build/plain/test_damage build/plain/kalam_storage

storage-check-asan: $(STORAGE_TESTS:%=build/asan/%)
	$(call storage_run,asan)
	$(STORAGE_ENV_asan) build/asan/test_damage build/asan/kalam_storage

storage-check-tsan: $(STORAGE_TESTS:%=build/tsan/%)
	$(call storage_run,tsan)

storage-check: storage-check-plain storage-check-asan storage-check-tsan
