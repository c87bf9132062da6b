/* log.h - lines for the server's log, on stderr. */
#ifndef KALAM_STORAGE_LOG_H
#define KALAM_STORAGE_LOG_H

/* level is LOG, WARNING or FATAL. */
extern void storage_log(const char *level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#define log_info(...) storage_log("LOG", __VA_ARGS__)
#define log_warning(...) storage_log("WARNING", __VA_ARGS__)
#define log_fatal(...) storage_log("FATAL", __VA_ARGS__)

#endif
