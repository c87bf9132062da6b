/*
 * log.c
 *	  One line per message on stderr, which is the server's log.
 *
 * A line goes out in one write, so that lines of several threads do not mix.
 * Any thread may call it; it takes no lock.
 */
#include "src/storage/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void
storage_log(const char *level, const char *format, ...)
{
	char		line[1024];
	va_list		args;
	int			n = snprintf(line, sizeof(line), "kalam storage: %s: ", level);
	int			m;

	va_start(args, format);
	m = vsnprintf(line + n, sizeof(line) - (size_t) n - 1, format, args);
	va_end(args);
	n += m < 0 ? 0 : m;
	if (n > (int) sizeof(line) - 2)
		n = (int) sizeof(line) - 2;
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t) n) < 0)
		return;
}
