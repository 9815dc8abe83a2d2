// What blocks a worker and cannot be helped: replaced only to be reported. stdio waits by calls of libc's own
// that no symbol replaces; who waits for a thread by a semaphore or a condition has to be that thread.
#include <zsync/io/interpose/caller.hpp>
#include <zsync/io/interpose/real.hpp>
#include <zsync/io/interpose/report.hpp>

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>

// What optimised and fortified programs call instead.
extern "C" {
std::size_t __fread_chk(void* to, std::size_t room, std::size_t size, std::size_t count, FILE* file);
char* __fgets_chk(char* to, std::size_t room, int size, FILE* file);
}

namespace {

ZSYNC_REAL(fread);
ZSYNC_REAL(fgets);
ZSYNC_REAL(fgetc);
ZSYNC_REAL(getline);
ZSYNC_REAL(getdelim);
ZSYNC_REAL(fwrite);
ZSYNC_REAL(fputs);
ZSYNC_REAL(fflush);
ZSYNC_REAL(fopen);
ZSYNC_REAL(fopen64);
ZSYNC_REAL(__fread_chk);
ZSYNC_REAL(__fgets_chk);
ZSYNC_REAL(__getdelim);
ZSYNC_REAL(pclose);
ZSYNC_REAL(system);
ZSYNC_REAL(sem_wait);
ZSYNC_REAL(sem_timedwait);
ZSYNC_REAL(sem_clockwait);
ZSYNC_REAL(pthread_cond_wait);
ZSYNC_REAL(pthread_cond_timedwait);
ZSYNC_REAL(pthread_cond_clockwait);
ZSYNC_REAL(pthread_rwlock_rdlock);
ZSYNC_REAL(pthread_rwlock_wrlock);
ZSYNC_REAL(pthread_rwlock_timedrdlock);
ZSYNC_REAL(pthread_rwlock_timedwrlock);
ZSYNC_REAL(pthread_rwlock_clockrdlock);
ZSYNC_REAL(pthread_rwlock_clockwrlock);
ZSYNC_REAL(pthread_barrier_wait);
ZSYNC_REAL(sigwait);

}  // namespace

using zsync::interpose::blocking_call;

#define ZSYNC_TIMED(result, name, parameters, arguments)           \
  ZSYNC_REPLACES result name parameters {                          \
    const blocking_call timed(#name, __builtin_return_address(0)); \
    return real_##name arguments;                                  \
  }

ZSYNC_TIMED(std::size_t, fread, (void* to, std::size_t size, std::size_t count, FILE* file),
            (to, size, count, file))
ZSYNC_TIMED(char*, fgets, (char* to, int size, FILE* file), (to, size, file))
ZSYNC_TIMED(int, fgetc, (FILE * file), (file))
ZSYNC_TIMED(ssize_t, getline, (char** to, std::size_t* size, FILE* file), (to, size, file))
ZSYNC_TIMED(ssize_t, getdelim, (char** to, std::size_t* size, int end, FILE* file), (to, size, end, file))
ZSYNC_TIMED(ssize_t, __getdelim, (char** to, std::size_t* size, int end, FILE* file), (to, size, end, file))
ZSYNC_TIMED(std::size_t, __fread_chk,
            (void* to, std::size_t room, std::size_t size, std::size_t count, FILE* file),
            (to, room, size, count, file))
ZSYNC_TIMED(char*, __fgets_chk, (char* to, std::size_t room, int size, FILE* file), (to, room, size, file))
ZSYNC_TIMED(std::size_t, fwrite, (const void* from, std::size_t size, std::size_t count, FILE* file),
            (from, size, count, file))
ZSYNC_TIMED(int, fputs, (const char* text, FILE* file), (text, file))
ZSYNC_TIMED(int, fflush, (FILE * file), (file))
ZSYNC_TIMED(FILE*, fopen, (const char* path, const char* mode), (path, mode))
ZSYNC_TIMED(FILE*, fopen64, (const char* path, const char* mode), (path, mode))
ZSYNC_TIMED(int, pclose, (FILE * file), (file))
ZSYNC_TIMED(int, system, (const char* command), (command))
ZSYNC_TIMED(int, sem_wait, (sem_t * semaphore), (semaphore))
ZSYNC_TIMED(int, sem_timedwait, (sem_t * semaphore, const timespec* until), (semaphore, until))
ZSYNC_TIMED(int, sem_clockwait, (sem_t * semaphore, clockid_t clock, const timespec* until),
            (semaphore, clock, until))
ZSYNC_TIMED(int, pthread_cond_wait, (pthread_cond_t * condition, pthread_mutex_t* mutex), (condition, mutex))
ZSYNC_TIMED(int, pthread_cond_timedwait,
            (pthread_cond_t * condition, pthread_mutex_t* mutex, const timespec* until),
            (condition, mutex, until))
ZSYNC_TIMED(int, pthread_cond_clockwait,
            (pthread_cond_t * condition, pthread_mutex_t* mutex, clockid_t clock, const timespec* until),
            (condition, mutex, clock, until))
ZSYNC_TIMED(int, sigwait, (const sigset_t* set, int* signal), (set, signal))

#undef ZSYNC_TIMED
#define ZSYNC_TIMED(result, name, parameters, arguments)           \
  ZSYNC_REPLACES result name parameters noexcept {                 \
    const blocking_call timed(#name, __builtin_return_address(0)); \
    return real_##name arguments;                                  \
  }

ZSYNC_TIMED(int, pthread_rwlock_rdlock, (pthread_rwlock_t * lock), (lock))
ZSYNC_TIMED(int, pthread_rwlock_wrlock, (pthread_rwlock_t * lock), (lock))
ZSYNC_TIMED(int, pthread_rwlock_timedrdlock, (pthread_rwlock_t * lock, const timespec* until), (lock, until))
ZSYNC_TIMED(int, pthread_rwlock_timedwrlock, (pthread_rwlock_t * lock, const timespec* until), (lock, until))
ZSYNC_TIMED(int, pthread_rwlock_clockrdlock,
            (pthread_rwlock_t * lock, clockid_t clock, const timespec* until), (lock, clock, until))
ZSYNC_TIMED(int, pthread_rwlock_clockwrlock,
            (pthread_rwlock_t * lock, clockid_t clock, const timespec* until), (lock, clock, until))
ZSYNC_TIMED(int, pthread_barrier_wait, (pthread_barrier_t * barrier), (barrier))
