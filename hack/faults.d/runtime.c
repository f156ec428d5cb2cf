// The runtime of the fault lab: proves that it ran by one byte at the end of the file MARKER, and ends with a status that nobody else has.
// Without libc, so that it is there in no time.
#include <fcntl.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
static long call(long number, long a, long b, long c, long d) {
    long result;
    register long fourth __asm__("r10") = d;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth) : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
static long call(long number, long a, long b, long c, long d) {
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c, x3 __asm__("x3") = d;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
}
#else
#error "write call for this architecture"
#endif

void _start(void) {
    long file = call(SYS_openat, AT_FDCWD, (long)MARKER, O_WRONLY | O_CREAT | O_APPEND, 0644);
    call(SYS_write, file, (long)"x", 1, 0);
    call(SYS_exit_group, STATUS, 0, 0, 0);
}
