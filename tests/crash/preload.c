/*
 * Faults of the disk under a store, for the tests of tests/faults.rs, which compile it and preload it
 * into the server with LD_PRELOAD; the server itself has no test mode.
 *
 *   FAULT_STORE    the store's folder: operations outside it are not affected
 *   FAULT_CONTROL  a file of 64-bit numbers, shared with the test, which may change them at any time:
 *                  the action, the operations it applies to, and counters (struct control)
 *   FAULT_SHADOW   a folder for what would survive a loss of power. After each sync of a file its
 *                  content is copied to inode.<number>; after each sync of the folder its list of
 *                  names is written to `names`. A second link keeps each inode number in use.
 *
 * Not intercepted: writes inside the C library (RocksDB's text log, by fwrite), and memory maps
 * (RocksDB does not write through them).
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum action { NOTHING, KILL_BEFORE, KILL_AFTER, TEAR, FAIL, DELAY, EXPOSE };
enum kind { WRITE = 1, SYNC = 2, NAME = 4 };

struct control {
    _Atomic uint64_t seen;  /* operations of the chosen kinds */
    _Atomic uint64_t hits;  /* of them, those that the action was applied to */
    _Atomic uint64_t kinds; /* a sum of enum kind */
    _Atomic uint64_t first, last;
    _Atomic uint64_t value; /* FAIL: the errno; DELAY: milliseconds; EXPOSE: the previous PR_GET_DUMPABLE */
    _Atomic uint64_t action;
};

static struct control *control;
static const char *store, *shadow;
static size_t store_length;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(result, name, ...) \
    static result (*real)(__VA_ARGS__); \
    if (!real) real = (result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULT_CONTROL");
    store = getenv("FAULT_STORE");
    shadow = getenv("FAULT_SHADOW");
    if (!path || !store) return;
    store_length = strlen(store);
    int file = open(path, O_RDWR | O_CLOEXEC);
    void *shared = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (file < 0 || shared == MAP_FAILED) abort();
    close(file);
    control = shared;
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

static int below(const char *path) {
    return control && strncmp(path, store, store_length) == 0 &&
           (path[store_length] == '/' || path[store_length] == 0);
}

static int ours(int file) {
    char link[64], path[PATH_MAX];
    if (!control) return 0;
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = before;
    if (length < 0) return 0;
    path[length] = 0;
    return below(path);
}

/* The action for this operation. FAIL sets errno here; DELAY, KILL_BEFORE and EXPOSE take effect here. */
static enum action intercept(enum kind kind) {
    if (!(control->kinds & kind)) return NOTHING;
    uint64_t number = ++control->seen;
    enum action action = (enum action)control->action;
    if (action == NOTHING || number < control->first || number > control->last) return NOTHING;
    control->hits++;
    if (action == KILL_BEFORE) die();
    if (action == FAIL) errno = (int)control->value;
    if (action == EXPOSE) {
        control->value = (uint64_t)prctl(PR_GET_DUMPABLE);
        prctl(PR_SET_DUMPABLE, 1);
    }
    if (action == DELAY) {
        struct timespec time = {(time_t)(control->value / 1000), (long)(control->value % 1000) * 1000000};
        nanosleep(&time, NULL);
    }
    return action;
}

ssize_t write(int file, const void *bytes, size_t length) {
    REAL(ssize_t, "write", int, const void *, size_t);
    enum action action = ours(file) ? intercept(WRITE) : NOTHING;
    if (action == FAIL) return -1;
    ssize_t result = real(file, bytes, action == TEAR ? length / 2 : length);
    if (action == TEAR || action == KILL_AFTER) die();
    return result;
}

ssize_t pwrite(int file, const void *bytes, size_t length, off_t at) {
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    enum action action = ours(file) ? intercept(WRITE) : NOTHING;
    if (action == FAIL) return -1;
    ssize_t result = real(file, bytes, action == TEAR ? length / 2 : length, at);
    if (action == TEAR || action == KILL_AFTER) die();
    return result;
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t at) {
    return pwrite(file, bytes, length, at);
}

/* Replaces the target atomically: a kill leaves the old or the new file. */
static void publish(FILE *file, const char *temporary, const char *target) {
if (fclose(file) != 0 || rename(temporary, target) != 0) abort();
}

static void pin(const char *path, ino_t inode) {
    char pinned[PATH_MAX];
    snprintf(pinned, sizeof pinned, "%s/pin.%lu", shadow, (unsigned long)inode);
    linkat(AT_FDCWD, path, AT_FDCWD, pinned, AT_SYMLINK_FOLLOW);
}

static void keep_names(int folder, const char *temporary) {
    char link[64], target[PATH_MAX], path[PATH_MAX + NAME_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    snprintf(target, sizeof target, "%s/names", shadow);
    FILE *made = fopen(temporary, "w");
    DIR *entries = opendir(link);
    if (!made || !entries) abort();
    for (struct dirent *entry; (entry = readdir(entries));) {
        if (entry->d_type != DT_REG) continue;
        fprintf(made, "%lu %s\n", (unsigned long)entry->d_ino, entry->d_name);
        snprintf(path, sizeof path, "%s/%s", store, entry->d_name);
        pin(path, entry->d_ino);
    }
    closedir(entries);
    publish(made, temporary, target);
}

static void keep_content(int file, ino_t inode, const char *temporary) {
    char link[64], target[PATH_MAX], part[65536];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    snprintf(target, sizeof target, "%s/inode.%lu", shadow, (unsigned long)inode);
    FILE *made = fopen(temporary, "w"), *from = fopen(link, "r");
    if (!made || !from) abort();
    for (size_t length; (length = fread(part, 1, sizeof part, from)) > 0;) fwrite(part, 1, length, made);
    fclose(from);
    pin(link, inode);
    publish(made, temporary, target);
}

static int synced(int file, int result) {
    struct stat about;
    if (result != 0 || !shadow || fstat(file, &about) != 0) return result;
    char temporary[PATH_MAX];
    snprintf(temporary, sizeof temporary, "%s/temporary", shadow);
    pthread_mutex_lock(&lock);
    if (S_ISDIR(about.st_mode)) keep_names(file, temporary);
    else keep_content(file, about.st_ino, temporary);
    pthread_mutex_unlock(&lock);
    return result;
}

#define GUARDED(name, parameters, arguments, mine, kind, call) \
    int name parameters { \
        REAL(int, #name, STRIP parameters); \
        if (!(mine)) return real arguments; \
        enum action action = intercept(kind); \
        if (action == FAIL) return -1; \
        int result = call; \
        if (action == KILL_AFTER) die(); \
        return result; \
    }
#define STRIP(...) __VA_ARGS__

GUARDED(fdatasync, (int file), (file), ours(file), SYNC, synced(file, real(file)))
GUARDED(fsync, (int file), (file), ours(file), SYNC, synced(file, real(file)))
GUARDED(ftruncate, (int file, off_t length), (file, length), ours(file), NAME, real(file, length))
GUARDED(unlink, (const char *path), (path), below(path), NAME, real(path))
GUARDED(rename, (const char *from, const char *to), (from, to), below(to), NAME, real(from, to))
