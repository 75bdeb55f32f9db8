// Preloaded into a program (LD_PRELOAD), it appends to the file RECORD_TO what the program does with the files below RECORD_FOLDER,
// and when it begins to answer over HTTP: all of it in one order, over all threads and processes. replay.ts cuts the power in it.
//
// A record is written under a lock together with what it tells, so that the order is the true one. Only a flush is not done under
// the lock, for it takes long: it is recorded when it begins and when it has ended, and covers what was recorded before it began.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

// In the order of KINDS in record.ts.
enum { CREATE, WRITE, TRUNCATE, SYNC, SYNCED, UNLINK, RENAME, LINK, MKDIR, RMDIR, ANSWER };

struct header {
  uint32_t kind, thread, name_bytes, data_bytes;
  uint64_t node; // the inode; of an answer the port that gets it, above it the last byte of the address
  uint64_t offset;
};

#define MOST_FILES 4096
static struct { dev_t device; ino_t node; } files[MOST_FILES]; // by descriptor; node 0: none of ours
static int trace = -1;
static char folder[PATH_MAX];
static size_t folder_bytes;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ({ static __typeof__(&name) real; if (!real) real = dlsym(RTLD_NEXT, #name); real; })

__attribute__((constructor)) static void begin(void) {
  const char *to = getenv("RECORD_TO"), *below = getenv("RECORD_FOLDER");
  if (!to || !below || strlen(below) >= sizeof folder) return;
  strcpy(folder, below);
  folder_bytes = strlen(folder);
  trace = REAL(open)(to, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (trace < 0) abort();
}

// Among threads by the mutex, among processes by the lock of the file.
static void lock(void) {
  pthread_mutex_lock(&mutex);
  while (flock(trace, LOCK_EX) && errno == EINTR) {}
}
static void unlock(void) {
  flock(trace, LOCK_UN);
  pthread_mutex_unlock(&mutex);
}

static void record(int kind, uint64_t node, uint64_t offset, const char *name, const void *data, size_t data_bytes) {
  struct header header = {kind, gettid(), name ? strlen(name) : 0, data_bytes, node, offset};
  struct iovec parts[] = {{&header, sizeof header}, {(void *)name, header.name_bytes}, {(void *)data, data_bytes}};
  // A trace with a hole in it would be worse than none.
  if (REAL(writev)(trace, parts, 3) != (ssize_t)(sizeof header + header.name_bytes + data_bytes)) abort();
}

// SQLite makes its index of the log (-shm) anew after a crash.
static int ours(const char *path) {
  size_t bytes = strlen(path);
  return trace >= 0 && !strncmp(path, folder, folder_bytes) && (path[folder_bytes] == '/' || !path[folder_bytes]) &&
         (bytes < 4 || strcmp(path + bytes - 4, "-shm"));
}

// Descriptors may have been closed behind our back and be others now.
static ino_t node_of(int fd) {
  struct stat now;
  if (trace < 0 || fd < 0 || fd >= MOST_FILES || !files[fd].node || fstat(fd, &now)) return 0;
  if (now.st_dev == files[fd].device && now.st_ino == files[fd].node) return now.st_ino;
  return files[fd].node = 0;
}

static int opened(int (*real)(const char *, int, ...), const char *path, int flags, mode_t mode) {
  if (trace < 0 || !ours(path)) return real(path, flags, mode);
  lock();
  struct stat at;
  int there = !stat(path, &at);
  int fd = real(path, flags, mode), error = errno;
  if (fd >= 0 && fd < MOST_FILES && !fstat(fd, &at)) {
    files[fd].device = at.st_dev;
    files[fd].node = at.st_ino;
    if (!there) record(CREATE, at.st_ino, 0, path, NULL, 0);
    else if (flags & O_TRUNC) record(TRUNCATE, at.st_ino, 0, NULL, NULL, 0);
  }
  unlock();
  errno = error;
  return fd;
}
#define OPEN(name)                                                  \
  int name(const char *path, int flags, ...) {                      \
    va_list rest;                                                   \
    va_start(rest, flags);                                          \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0; \
    va_end(rest);                                                   \
    return opened(REAL(name), path, flags, mode);                   \
  }
OPEN(open)
OPEN(open64)

static ssize_t written(ino_t node, ssize_t bytes, const void *data, off64_t offset) {
  int error = errno;
  if (bytes > 0) record(WRITE, node, offset, NULL, data, bytes);
  unlock();
  errno = error;
  return bytes;
}
#define PWRITE(name, type)                                               \
  ssize_t name(int fd, const void *data, size_t bytes, type offset) {    \
    ino_t node = node_of(fd);                                            \
    if (!node) return REAL(name)(fd, data, bytes, offset);               \
    lock();                                                              \
    return written(node, REAL(name)(fd, data, bytes, offset), data, offset); \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

// An answer is recorded before it leaves: by then it must be true.
static void answering(int fd, const void *data, size_t bytes) {
  struct sockaddr_storage peer;
  socklen_t length = sizeof peer;
  if (trace < 0 || bytes < 7 || memcmp(data, "HTTP/1.", 7) || getpeername(fd, (struct sockaddr *)&peer, &length)) return;
  if (peer.ss_family != AF_INET) return;
  struct sockaddr_in *to = (struct sockaddr_in *)&peer;
  lock();
  record(ANSWER, (ntohl(to->sin_addr.s_addr) & 0xff) << 16 | ntohs(to->sin_port), 0, NULL, NULL, 0);
  unlock();
}
ssize_t write(int fd, const void *data, size_t bytes) {
  ino_t node = node_of(fd);
  if (!node) {
    answering(fd, data, bytes);
    return REAL(write)(fd, data, bytes);
  }
  lock();
  off64_t offset = fcntl(fd, F_GETFL) & O_APPEND ? lseek64(fd, 0, SEEK_END) : lseek64(fd, 0, SEEK_CUR);
  return written(node, REAL(write)(fd, data, bytes), data, offset);
}
// No file of ours is written in these ways. If that changes, the trace would have a hole.
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
  if (node_of(fd)) abort();
  return REAL(pwritev64)(fd, parts, count, offset);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
  if (node_of(fd)) abort();
  if (count > 0) answering(fd, parts[0].iov_base, parts[0].iov_len);
  return REAL(writev)(fd, parts, count);
}
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  if (message->msg_iovlen > 0) answering(fd, message->msg_iov[0].iov_base, message->msg_iov[0].iov_len);
  return REAL(sendmsg)(fd, message, flags);
}

#define TRUNCATED(name, type)                                       \
  int name(int fd, type size) {                                     \
    ino_t node = node_of(fd);                                       \
    if (!node) return REAL(name)(fd, size);                         \
    lock();                                                         \
    int result = REAL(name)(fd, size), error = errno;               \
    if (!result) record(TRUNCATE, node, size, NULL, NULL, 0);       \
    unlock();                                                       \
    errno = error;                                                  \
    return result;                                                  \
  }
TRUNCATED(ftruncate, off_t)
TRUNCATED(ftruncate64, off64_t)

static void flushing(int kind, ino_t node) {
  lock();
  record(kind, node, 0, NULL, NULL, 0);
  unlock();
}
#define FLUSHED(name)                                 \
  int name(int fd) {                                  \
    ino_t node = node_of(fd);                         \
    if (!node) return REAL(name)(fd);                 \
    flushing(SYNC, node);                             \
    int result = REAL(name)(fd), error = errno;       \
    if (!result) flushing(SYNCED, node);              \
    errno = error;                                    \
    return result;                                    \
  }
FLUSHED(fsync)
FLUSHED(fdatasync)

// Changes of a folder. Where there are two names, a zero stands between them.
static int changed(int kind, int result, const char *path, const char *to) {
  int error = errno;
  struct stat at = {0};
  char names[2 * PATH_MAX];
  if (kind == MKDIR && !result) stat(path, &at);
  if (!result && to) {
    size_t first = strlen(path) + 1;
    memcpy(names, path, first);
    strcpy(names + first, to);
    record(kind, 0, first, NULL, names, first + strlen(to));
  } else if (!result) record(kind, at.st_ino, 0, path, NULL, 0);
  unlock();
  errno = error;
  return result;
}
int unlink(const char *path) {
  if (trace < 0 || !ours(path)) return REAL(unlink)(path);
  lock();
  return changed(UNLINK, REAL(unlink)(path), path, NULL);
}
int rmdir(const char *path) {
  if (trace < 0 || !ours(path)) return REAL(rmdir)(path);
  lock();
  return changed(RMDIR, REAL(rmdir)(path), path, NULL);
}
int mkdir(const char *path, mode_t mode) {
  if (trace < 0 || !ours(path)) return REAL(mkdir)(path, mode);
  lock();
  return changed(MKDIR, REAL(mkdir)(path, mode), path, NULL);
}
int rename(const char *path, const char *to) {
  if (trace < 0 || (!ours(path) && !ours(to))) return REAL(rename)(path, to);
  lock();
  return changed(RENAME, REAL(rename)(path, to), path, to);
}
int link(const char *path, const char *to) {
  if (trace < 0 || (!ours(path) && !ours(to))) return REAL(link)(path, to);
  lock();
  return changed(LINK, REAL(link)(path, to), path, to);
}
