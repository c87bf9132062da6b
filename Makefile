# Builds two things: the extension's library kalam_fdw.so, the PGXS way, and
# the storage program kalam_storage, which has nothing of PostgreSQL in it.
#
#   make                 both
#   make install         into the server that PG_CONFIG names
#   make installcheck    pg_regress and isolation tests in a running server
#                        whose shared_preload_libraries names kalam_fdw
#   make check           everything that is tested, in servers of its own
#   make bench           kalam against heap (bench/run)
#   make WERROR=1        warnings are errors
#   make CHECKED=1       with assertions, and places where tests stop a process

PG_CONFIG ?= pg_config

EXTENSION = kalam_fdw
DATA = sql/kalam_fdw--1.0.sql
MODULE_big = kalam_fdw
PGFILEDESC = "kalam_fdw - foreign tables that live in RocksDB"

# Object files lie in build/, not beside their sources.
BUILD = build
BACKEND_SOURCES = kalam_fdw.c $(wildcard src/backend/*.c) $(wildcard src/shared/*.c)
OBJS = $(BACKEND_SOURCES:%.c=$(BUILD)/backend/%.o)

REGRESS = $(filter-out kalam_fdw--%,$(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql))))
REGRESS_OPTS = --load-extension=kalam_fdw
ISOLATION = $(patsubst specs/%.spec,%,$(sort $(wildcard specs/*.spec)))
ISOLATION_OPTS = --load-extension=kalam_fdw

WARNINGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare
ifdef WERROR
WARNINGS += -Werror
endif

# Only what SQL calls is visible from outside.
PG_CPPFLAGS = -I$(srcdir) -D'PGDLLEXPORT=__attribute__((visibility("default")))'
ifdef CHECKED
PG_CPPFLAGS += -DKALAM_STOP_POINTS -DUSE_ASSERT_CHECKING
endif
PG_CFLAGS = -std=gnu11 -fvisibility=hidden $(WARNINGS) -Wno-declaration-after-statement

EXTRA_CLEAN = $(BUILD) kalam_storage

# LLVM bitcode, for inlining into JIT-compiled queries, would gain nothing here
# and ask for clang.
override with_llvm = no

.PHONY: all check bench
all:

ifeq ($(MAKECMDGOALS),check)
# (PGXS has a rule for check as well, which only says that there is none.)
check:
	@PG_CONFIG='$(PG_CONFIG)' ./check
else

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# Objects are made again when a header or this file changes.
$(BUILD)/backend/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CPPFLAGS) -MMD -MP -c -o $@ $<

-include $(OBJS:.o=.d)

# The storage program (target kalam_storage) and the unit tests.
include src/storage/storage.mk
include test/unit/unit.mk

all: kalam_storage

install: install-storage
installdirs: installdirs-storage
uninstall: uninstall-storage

.PHONY: install-storage installdirs-storage uninstall-storage
installdirs-storage:
	$(MKDIR_P) '$(DESTDIR)$(pkglibdir)'

install-storage: kalam_storage installdirs-storage
	$(INSTALL_PROGRAM) kalam_storage '$(DESTDIR)$(pkglibdir)/kalam_storage'

uninstall-storage:
	rm -f '$(DESTDIR)$(pkglibdir)/kalam_storage'

bench:
	@PG_CONFIG='$(PG_CONFIG)' bench/run $(BENCH_ARGS)

endif
