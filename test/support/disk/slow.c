// Preloaded into a program (LD_PRELOAD), it makes each flush of a file take FLUSH_MS longer.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static void wait_for_disk(void) {
  const char *ms = getenv("FLUSH_MS");
  if (ms) usleep(atoi(ms) * 1000);
}
#define SLOW(name)                                                         \
  int name(int fd) {                                                       \
    static int (*real)(int);                                               \
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, #name);               \
    wait_for_disk();                                                       \
    return real(fd);                                                       \
  }
SLOW(fsync)
SLOW(fdatasync)
