/*
 * A clock that goes ahead, for every program that loads this (LD_PRELOAD). SHIFT is by how many seconds.
 *
 * Whoever asks what time it is is told a later one; whoever waits until a time that it has computed from that waits until
 * the right moment. The times of files stay what they are, which is why this is not libfaketime: that one also shifts what
 * `touch` writes and what `stat` reads, and make goes astray between files that were touched and files that were written.
 * The clocks that only measure how long something takes (CLOCK_MONOTONIC and its kin) stay, too.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int is_shifted(clockid_t clock) {
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int outcome = (int)syscall(SYS_clock_gettime, clock, now);
    if (outcome == 0 && is_shifted(clock))
        now->tv_sec += SHIFT;
    return outcome;
}

time_t time(time_t *into) {
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_REALTIME, &now);
    if (into)
        *into = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict into, void *restrict zone) {
    struct timespec now = {0, 0};
    int outcome = clock_gettime(CLOCK_REALTIME, &now);
    (void)zone;
    into->tv_sec = now.tv_sec;
    into->tv_usec = now.tv_nsec / 1000;
    return outcome;
}

int timespec_get(struct timespec *into, int base) {
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, into) == 0 ? base : 0;
}

/* The kernel's time of a deadline. Those of other clocks are small: they count from the start of the machine. */
static const struct timespec *kernels(const struct timespec *deadline, struct timespec *room) {
    struct timespec now = {0, 0};
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
    if (deadline->tv_sec < now.tv_sec + SHIFT / 2)
        return deadline;
    *room = *deadline;
    room->tv_sec -= SHIFT;
    return room;
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict deadline) {
    /* There is an older one of that name, for programs of another millennium. */
    static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    struct timespec room;
    if (!real)
        *(void **)&real = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    return real(condition, mutex, kernels(deadline, &room));
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex, const struct timespec *restrict deadline) {
    static int (*real)(pthread_mutex_t *, const struct timespec *);
    struct timespec room;
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "pthread_mutex_timedlock");
    return real(mutex, kernels(deadline, &room));
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict deadline) {
    static int (*real)(sem_t *, const struct timespec *);
    struct timespec room;
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "sem_timedwait");
    return real(semaphore, kernels(deadline, &room));
}
