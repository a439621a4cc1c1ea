/* A disk as it should not be, for tests: loaded before the C library, for the files below the folder DISK_AT.
   DISK_ROOM=N       after N bytes more the disk is full
   DISK_LOCKS=none   nothing can be locked
   DISK_MEMORY=none  a -shm file cannot be mapped */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
static long used;

static const char *below(int fd, char *name, size_t room) {
    const char *at = getenv("DISK_AT");
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = at ? readlink(link, name, room - 1) : -1;
    if (n < 0) return 0;
    name[n] = 0;
    return strncmp(name, at, strlen(at)) ? 0 : name;
}

/* How many of n bytes at an offset fit; -1 for none. */
static ssize_t fits(int fd, size_t n, off64_t at) {
    const char *room = getenv("DISK_ROOM");
    char name[4096];
    struct stat64 file;
    if (!room || !n || fstat64(fd, &file) || !S_ISREG(file.st_mode) || !below(fd, name, sizeof name)) return n;
    if (at < 0) at = fcntl(fd, F_GETFL) & O_APPEND ? file.st_size : lseek64(fd, 0, SEEK_CUR);
    long grows = at + (long)n - file.st_size, left;
    if (grows <= 0) return n;
    pthread_mutex_lock(&one);
    left = atol(room) - used;
    long taken = grows <= left ? grows : left < 0 ? 0 : left;
    used += taken;
    pthread_mutex_unlock(&one);
    if (grows <= left) return n;
    ssize_t fit = (ssize_t)n - (grows - taken);
    if (fit > 0) return fit;
    errno = ENOSPC;
    return -1;
}

#define REAL(name, ...) static __typeof__(name) *real; if (!real) real = dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *b, size_t n) {
    REAL(write);
    ssize_t fit = fits(fd, n, -1);
    return fit < 0 ? fit : real(fd, b, fit);
}
ssize_t pwrite(int fd, const void *b, size_t n, off_t at) {
    REAL(pwrite);
    ssize_t fit = fits(fd, n, at);
    return fit < 0 ? fit : real(fd, b, fit, at);
}
ssize_t pwrite64(int fd, const void *b, size_t n, off64_t at) {
    REAL(pwrite64);
    ssize_t fit = fits(fd, n, at);
    return fit < 0 ? fit : real(fd, b, fit, at);
}
ssize_t writev(int fd, const struct iovec *v, int n) {
    REAL(writev);
    char name[4096];
    if (!getenv("DISK_ROOM") || n < 1 || !below(fd, name, sizeof name)) return real(fd, v, n);
    return write(fd, v[0].iov_base, v[0].iov_len);
}
/* Copying within the kernel would pass by; whoever cannot have it reads and writes. */
ssize_t copy_file_range(int in, off64_t *a, int out, off64_t *b, size_t n, unsigned flags) {
    REAL(copy_file_range);
    if (!getenv("DISK_ROOM")) return real(in, a, out, b, n, flags);
    errno = ENOSYS;
    return -1;
}
ssize_t sendfile64(int out, int in, off64_t *at, size_t n) {
    REAL(sendfile64);
    if (!getenv("DISK_ROOM")) return real(out, in, at, n);
    errno = ENOSYS;
    return -1;
}

static int lock(int fd, int cmd) {
    char name[4096];
    const char *locks = getenv("DISK_LOCKS");
    return locks && !strcmp(locks, "none") && (cmd == F_SETLK || cmd == F_SETLKW) && below(fd, name, sizeof name);
}
int fcntl(int fd, int cmd, ...) {
    REAL(fcntl);
    va_list rest;
    va_start(rest, cmd);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    if (!lock(fd, cmd)) return real(fd, cmd, argument);
    errno = ENOLCK;
    return -1;
}
int fcntl64(int fd, int cmd, ...) {
    va_list rest;
    va_start(rest, cmd);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    return fcntl(fd, cmd, argument);
}

static int shared(int fd) {
    char name[4096];
    const char *memory = getenv("DISK_MEMORY");
    return fd >= 0 && memory && !strcmp(memory, "none") && below(fd, name, sizeof name) && strstr(name, "-shm");
}
void *mmap(void *at, size_t n, int prot, int flags, int fd, off_t from) {
    REAL(mmap);
    if (!shared(fd)) return real(at, n, prot, flags, fd, from);
    errno = ENODEV;
    return MAP_FAILED;
}
void *mmap64(void *at, size_t n, int prot, int flags, int fd, off64_t from) {
    return mmap(at, n, prot, flags, fd, from);
}
