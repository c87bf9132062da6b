/*
 * driver.c
 *	  Runs a fuzz target where libFuzzer is missing.
 *
 *	  driver [-seconds=N] [file ...]
 *
 * First the files, then made-up bytes for N seconds (10).
 * A target that finds something aborts; the number of the input is printed then.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_INPUT 4096

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint64_t seed;

static void
on_crash(int signo)
{
	char		line[64];
	int			n = snprintf(line, sizeof(line), "failed at input %llu\n", (unsigned long long) seed);

	if (write(2, line, (size_t) n) < 0)
		_exit(1);
	signal(signo, SIG_DFL);
	raise(signo);
}

static uint64_t
next_random(uint64_t *state)
{
	uint64_t	z = (*state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return z ^ z >> 31;
}

/* Input `number`: always the same bytes. */
static size_t
make_input(uint64_t number, uint8_t *data)
{
	uint64_t	state = number;
	size_t		size = next_random(&state) % (next_random(&state) % 8 == 0 ? MAX_INPUT : 200);
	uint64_t	small = next_random(&state) % 4;

	for (size_t i = 0; i < size; i++)
	{
		uint64_t	r = next_random(&state);

		/* long runs of few values, and small ones, reach further than noise */
		if (i > 0 && r % 4 == 0)
			data[i] = data[i - 1];
		else if (r % 4 < small)
			data[i] = (uint8_t) (r >> 8 & 7);
		else
			data[i] = (uint8_t) (r >> 8);
	}
	return size;
}

static int
run_file(const char *path)
{
	static uint8_t data[1 << 20];
	FILE	   *f = fopen(path, "rb");
	size_t		size;

	if (f == NULL)
	{
		perror(path);
		return 1;
	}
	size = fread(data, 1, sizeof(data), f);
	fclose(f);
	return LLVMFuzzerTestOneInput(data, size);
}

int
main(int argc, char **argv)
{
	int			seconds = 10;
	time_t		end;

	signal(SIGABRT, on_crash);
	signal(SIGSEGV, on_crash);
	for (int i = 1; i < argc; i++)
	{
		if (strncmp(argv[i], "-seconds=", 9) == 0)
			seconds = atoi(argv[i] + 9);
		else if (run_file(argv[i]) != 0)
			return 1;
	}
	end = time(NULL) + seconds;
	for (seed = 1; seed % 64 != 0 || time(NULL) < end; seed++)
	{
		/* an allocation of its own, so that the sanitizer sees overreads */
		uint8_t    *data;
		uint8_t		room[MAX_INPUT];
		size_t		size = make_input(seed, room);

		data = malloc(size == 0 ? 1 : size);
		memcpy(data, room, size);
		LLVMFuzzerTestOneInput(data, size);
		free(data);
	}
	printf("%llu inputs\n", (unsigned long long) seed - 1);
	return 0;
}
