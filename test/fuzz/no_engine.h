/*
 * no_engine.h - what engine.c gives besides RocksDB, for fuzzers that go without.
 *
 * Defines functions: for one file of a program.
 */
#ifndef KALAM_FUZZ_NO_ENGINE_H
#define KALAM_FUZZ_NO_ENGINE_H

#include <stdarg.h>
#include <stdio.h>

#include "src/storage/engine.h"

void
engine_error(EngineError *err, KalamCode code, const char *format, ...)
{
	va_list		args;

	err->code = code;
	va_start(args, format);
	vsnprintf(err->message, sizeof(err->message), format, args);
	va_end(args);
}

#endif
