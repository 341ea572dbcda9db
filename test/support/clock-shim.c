/*
 * Preloaded into a redis-server, moves its wall clock: adds to it the nanoseconds that stand in a file,
 * as a signed 64-bit number, read anew at each look, so that the clock leaps while the server runs.
 * Its one idea: no allocation, no lock and no library call on the way, since a server's allocator asks for
 * the time while it starts. The monotonic clock stays true: only what a person can set is moved.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

static const int64_t none = 0;
static const volatile int64_t *offset = &none;

/* Redis overwrites its environment later, so it is read before main. Without its file it must not run. */
__attribute__((constructor)) static void map_offset(void) {
  const char *path = getenv("COTERIE_CLOCK_OFFSET");
  int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  void *page = file < 0 ? MAP_FAILED : mmap(NULL, sizeof none, PROT_READ, MAP_SHARED, file, 0);
  if (page == MAP_FAILED) _exit(99);
  close(file);
  offset = page;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
  if (syscall(SYS_clock_gettime, clock, at) != 0) return -1;
  if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE && clock != CLOCK_TAI) return 0;
  int64_t moved = at->tv_sec * SECOND + at->tv_nsec + *offset;
  at->tv_sec = moved / SECOND;
  at->tv_nsec = moved % SECOND;
  return 0;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
  struct timespec now;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  at->tv_sec = now.tv_sec;
  at->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *at) {
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  if (at != NULL) *at = now.tv_sec;
  return now.tv_sec;
}
