/* Preloaded by the tests: the n-th fallible file call below one directory fails, or kills.
 *
 * Counted are the calls that change files: opening for writing, or a directory to fsync it, write,
 * fsync, rename, link, unlink, mkdir, rmdir, truncate, chmod, flock, and close of what can be
 * written. What happens is chosen by the environment when the process starts
 *
 *   FAULT_DIR     directory below which calls are counted (needed)
 *   FAULT_AT      number of the call, from 1 on; 0 only counts
 *   FAULT_KIND    EIO ENOSPC EDQUOT EROFS  fail with this error
 *                 SHORT                    write half of what was given; other calls are done
 *                 KILL                     SIGKILL before the call
 *                 TORN                     the same, but of a write half is done
 *   FAULT_STICKY  1: from that call on
 *   FAULT_READS   1: opening for reading and read count, too
 *
 * or by faultshim_arm() in a process that then forks: its children count in shared memory, which
 * the parent can read after their death.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define MOST 8192 /* calls that are remembered by name */
#define NAME 160

enum { SHORT = -1, KILL = -2, TORN = -3 };

struct shared {
    atomic_long count, hits;
    char names[MOST][NAME];
};

static struct shared *shared;
static char directory[PATH_MAX];
static long at;
static int kind, sticky, reads;

static int kind_of(const char *name) {
    static const struct { const char *name; int kind; } kinds[] = {
        {"EIO", EIO},     {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EROFS", EROFS},
        {"SHORT", SHORT}, {"KILL", KILL},     {"TORN", TORN},
    };
    for (size_t i = 0; name && i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(name, kinds[i].name)) return kinds[i].kind;
    return EIO;
}

void faultshim_arm(const char *where, long number, const char *what, int for_good, int reading) {
    if (!shared)
        shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) abort();
    memset(shared, 0, sizeof *shared);
    snprintf(directory, sizeof directory, "%s", where);
    at = number, kind = kind_of(what), sticky = for_good, reads = reading;
}

long faultshim_count(void) { return shared ? atomic_load(&shared->count) : 0; }
long faultshim_hits(void) { return shared ? atomic_load(&shared->hits) : 0; }

/* Name and path of call `number`, from 1 on. */
const char *faultshim_name(long number) {
    return shared && number >= 1 && number <= MOST ? shared->names[number - 1] : "";
}

__attribute__((constructor)) static void start(void) {
    const char *where = getenv("FAULT_DIR"), *number = getenv("FAULT_AT");
    if (where)
        faultshim_arm(where, number ? atol(number) : 0, getenv("FAULT_KIND"),
                      getenv("FAULT_STICKY") != NULL, getenv("FAULT_READS") != NULL);
}

static int is_below(const char *path) {
    size_t length = strlen(directory);
    return length && !strncmp(path, directory, length) && (!path[length] || path[length] == '/');
}

static const char *path_of(int descriptor, char *buffer) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, buffer, PATH_MAX - 1);
    buffer[length < 0 ? 0 : length] = 0;
    return buffer;
}

static const char *whole_path(int base, const char *path, char *buffer) {
    char start[PATH_MAX];
    if (path[0] == '/') return path;
    if (base != AT_FDCWD) path_of(base, start);
    else if (syscall(SYS_getcwd, start, sizeof start) < 0) return path;
    if (snprintf(buffer, PATH_MAX, "%s/%s", start, path) >= PATH_MAX) return path;
    return buffer;
}

static void die(void) {
    syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
    for (;;) pause();
}

/* Return 0 for a call to be done, 1 for one that failed with errno set, 2 for one to be halved. */
static int fault(const char *call, const char *path) {
    int is_write = !strcmp(call, "write");
    if (!shared || !is_below(path)) return 0;
    long number = atomic_fetch_add(&shared->count, 1) + 1;
    if (number <= MOST) snprintf(shared->names[number - 1], NAME, "%s %s", call, path + strlen(directory));
    if (!at || (number != at && !(sticky && number > at))) return 0;
    atomic_fetch_add(&shared->hits, 1);
    if (kind == KILL || (kind == TORN && !is_write)) die();
    if (kind == SHORT || kind == TORN) return is_write ? 2 : 0;
    errno = kind;
    return 1;
}

static int fault_at(const char *call, int base, const char *path) {
    char buffer[PATH_MAX];
    return shared && path ? fault(call, whole_path(base, path, buffer)) : 0;
}

static int fault_fd(const char *call, int descriptor) {
    char buffer[PATH_MAX];
    return shared ? fault(call, path_of(descriptor, buffer)) : 0;
}

static int is_written(int descriptor) {
    int flags = fcntl(descriptor, F_GETFL);
    return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)
#define OPENING ((flags & O_ACCMODE) != O_RDONLY || flags & (O_CREAT | O_TRUNC | O_DIRECTORY))
#define SKIPS_OPEN(base) ((OPENING || reads) && fault_at(OPENING ? "open" : "openread", base, path) == 1)
#define MODE \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(name); \
        MODE; \
        return SKIPS_OPEN(AT_FDCWD) ? -1 : real(path, flags, mode); \
    }
#define OPENAT(name) \
    int name(int base, const char *path, int flags, ...) { \
        REAL(name); \
        MODE; \
        return SKIPS_OPEN(base) ? -1 : real(base, path, flags, mode); \
    }
OPEN(open) OPEN(open64) OPENAT(openat) OPENAT(openat64)

int creat(const char *path, mode_t mode) { return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

#define WRITE(name, last, with_last) \
    ssize_t name(int fd, const void *data, size_t size last) { \
        REAL(name); \
        int what = fault_fd("write", fd); \
        if (what == 1) return -1; \
        if (what == 2 && size > 1) size /= 2; \
        ssize_t done = real(fd, data, size with_last); \
        if (what == 2 && kind == TORN) die(); \
        return done; \
    }
#define COMMA ,
WRITE(write, , ) WRITE(pwrite, COMMA off_t offset, COMMA offset) WRITE(pwrite64, COMMA off64_t offset, COMMA offset)

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(writev);
    int what = fault_fd("write", fd);
    return what == 1 ? -1 : real(fd, parts, what == 2 && count > 1 ? count / 2 : count);
}

ssize_t read(int fd, void *data, size_t size) {
    REAL(read);
    return reads && fault_fd("read", fd) == 1 ? -1 : real(fd, data, size);
}

#define ON_FD(result, name, call, parameters, arguments) \
    result name parameters { \
        REAL(name); \
        return fault_fd(call, fd) == 1 ? -1 : real arguments; \
    }
ON_FD(int, fsync, "fsync", (int fd), (fd))
ON_FD(int, fdatasync, "fsync", (int fd), (fd))
ON_FD(int, ftruncate, "truncate", (int fd, off_t size), (fd, size))
ON_FD(int, ftruncate64, "truncate", (int fd, off64_t size), (fd, size))
ON_FD(int, fchmod, "chmod", (int fd, mode_t mode), (fd, mode))
ON_FD(int, flock, "flock", (int fd, int operation), (fd, operation))

#define ON_PATH(name, call, base, path, parameters, arguments) \
    int name parameters { \
        REAL(name); \
        return fault_at(call, base, path) == 1 ? -1 : real arguments; \
    }
ON_PATH(rename, "rename", AT_FDCWD, to, (const char *from, const char *to), (from, to))
ON_PATH(renameat, "rename", b, to, (int a, const char *from, int b, const char *to), (a, from, b, to))
ON_PATH(link, "link", AT_FDCWD, to, (const char *from, const char *to), (from, to))
ON_PATH(linkat, "link", b, to, (int a, const char *from, int b, const char *to, int f), (a, from, b, to, f))
ON_PATH(unlink, "unlink", AT_FDCWD, path, (const char *path), (path))
ON_PATH(unlinkat, "unlink", base, path, (int base, const char *path, int flags), (base, path, flags))
ON_PATH(rmdir, "rmdir", AT_FDCWD, path, (const char *path), (path))
ON_PATH(mkdir, "mkdir", AT_FDCWD, path, (const char *path, mode_t mode), (path, mode))
ON_PATH(mkdirat, "mkdir", base, path, (int base, const char *path, mode_t mode), (base, path, mode))

/* A close that fails has closed nevertheless, as on Linux. */
int close(int fd) {
    REAL(close);
    int failed = shared && is_written(fd) && fault_fd("close", fd) == 1, error = errno;
    int result = real(fd);
    if (!failed) return result;
    errno = error;
    return -1;
}
