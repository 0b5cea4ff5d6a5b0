// Faults between a node and its kernel, on demand: slow or deadly fsync, and a clock that jumps.
//
//   cc -shared -fPIC -O2 -o libchaos.so faults.c
//   CHAOS_CONTROL=/somewhere/control LD_PRELOAD=/somewhere/libchaos.so announced serve ...
//
// The control file says what is wrong, in lines of 32 bytes: a name, and a number in columns 21 to 31. The
// scripts below deploy/chaos/faults write it while the node runs. It is for trials only; no node loads it
// by itself.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES = 32, NUMBER_COLUMN = 20, NUMBER_BYTES = 11 };
enum line { FSYNC_DELAY_MS, KILL_AT_FSYNC, CLOCK_OFFSET_S, LINES };

static volatile char *control;
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_clock_gettime)(clockid_t, struct timespec *);
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t countdown = PTHREAD_MUTEX_INITIALIZER;

static void prepare(void) {
    *(void **)&real_fsync = dlsym(RTLD_NEXT, "fsync");
    *(void **)&real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    *(void **)&real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    const char *path = getenv("CHAOS_CONTROL");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0) {
        // A trial without its faults would pass for the wrong reason.
        static const char sentence[] = "libchaos.so: the file named by CHAOS_CONTROL cannot be opened\n";
        if (write(STDERR_FILENO, sentence, sizeof sentence - 1) < 0) { }
        _exit(64);
    }
    void *map = mmap(NULL, LINES * LINE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (map == MAP_FAILED) _exit(64);
    control = map;
}

static long number(enum line line) {
    char digits[NUMBER_BYTES + 1];
    for (int i = 0; i < NUMBER_BYTES; i++) digits[i] = control[line * LINE_BYTES + NUMBER_COLUMN + i];
    digits[NUMBER_BYTES] = 0;
    return strtol(digits, NULL, 10);
}

static void set(enum line line, long value) {
    char digits[24];
    snprintf(digits, sizeof digits, "%+011ld", value);
    for (int i = 0; i < NUMBER_BYTES; i++) control[line * LINE_BYTES + NUMBER_COLUMN + i] = digits[i];
}

// Everything was written and nothing is known to be on the disk: the worst moment to die.
static void before_sync(void) {
    pthread_once(&once, prepare);
    pthread_mutex_lock(&countdown);
    long left = number(KILL_AT_FSYNC);
    if (left > 0) {
        // The next life must not end the same way.
        set(KILL_AT_FSYNC, left - 1);
        if (left == 1) kill(getpid(), SIGKILL);
    }
    pthread_mutex_unlock(&countdown);
    long delay = number(FSYNC_DELAY_MS);
    if (delay > 0) {
        struct timespec pause = {delay / 1000, delay % 1000 * 1000000};
        nanosleep(&pause, NULL);
    }
}

int fsync(int file) {
    before_sync();
    return real_fsync(file);
}

int fdatasync(int file) {
    before_sync();
    return real_fdatasync(file);
}

// Only the wall clock jumps, as it does when somebody or NTP sets it.
int clock_gettime(clockid_t clock, struct timespec *now) {
    pthread_once(&once, prepare);
    int result = real_clock_gettime(clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        now->tv_sec += number(CLOCK_OFFSET_S);
    }
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec precise;
    int result = clock_gettime(CLOCK_REALTIME, &precise);
    if (result == 0) {
        now->tv_sec = precise.tv_sec;
        now->tv_usec = precise.tv_nsec / 1000;
    }
    return result;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
