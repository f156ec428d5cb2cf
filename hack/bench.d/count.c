// Counts what a program executes in user space until it becomes the runtime: the figure that no load on the machine can change.
//
//   count RUNTIME PROGRAM ARGS...        prints: instructions<TAB>system calls (the execve that becomes RUNTIME is one of them)
#define _GNU_SOURCE
#include <elf.h>
#include <err.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned long program_counter(pid_t pid) {
    struct user_regs_struct registers;
    struct iovec room = {&registers, sizeof registers};
    if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &room)) err(1, "read registers");
#if defined(__x86_64__)
    return registers.rip;
#else
    return registers.pc;
#endif
}

static int looks_like_system_call(pid_t pid, unsigned long at) {
    unsigned long word = ptrace(PTRACE_PEEKTEXT, pid, at, 0);
#if defined(__x86_64__)
    return (word & 0xffff) == 0x050f; // syscall
#else
    return (word & 0xffffffff) == 0xd4000001; // svc #0
#endif
}

// Asked for every step, and asking costs as much as a step: so it is remembered as long as the program stays the same.
static struct { unsigned long at; int answer; } known[1 << 16];

static int is_system_call(pid_t pid, unsigned long at) {
    unsigned slot = at % (sizeof known / sizeof *known);
    if (known[slot].at == at) return known[slot].answer;
    known[slot].at = at;
    return known[slot].answer = looks_like_system_call(pid, at);
}

static int became(pid_t pid, const char *runtime) {
    char exe[64];
    struct stat now, wanted;
    snprintf(exe, sizeof exe, "/proc/%d/exe", pid);
    if (stat(exe, &now) || stat(runtime, &wanted)) err(1, "stat %s", runtime);
    return now.st_dev == wanted.st_dev && now.st_ino == wanted.st_ino;
}

static void wait_for_stop(pid_t pid, int *status) {
    if (waitpid(pid, status, 0) != pid) err(1, "wait");
    if (!WIFSTOPPED(*status)) errx(1, "ended with wait status %#x before it became the runtime", *status);
}

// Two processes that take turns at every instruction: switching between them costs less than waking the other CPU each time.
static void pin_to_this_cpu(void) {
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(sched_getcpu(), &here);
    if (sched_setaffinity(0, sizeof here, &here)) err(1, "sched_setaffinity");
}

static pid_t start_traced(char **argv) {
    pid_t child = fork();
    if (child < 0) err(1, "fork");
    if (child == 0) {
        // Without this the loops over addresses and the environment differ by a few instructions from run to run.
        personality(ADDR_NO_RANDOMIZE);
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        execv(argv[0], argv);
        err(126, "start %s", argv[0]);
    }
    int status;
    wait_for_stop(child, &status);
    if (ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)) err(1, "trace");
    if (ptrace(PTRACE_CONT, child, 0, 0)) err(1, "continue");
    wait_for_stop(child, &status); // the execve of the program itself
    return child;
}

int main(int argc, char **argv) {
    if (argc < 3) errx(2, "usage: count RUNTIME PROGRAM ARGS...");
    pin_to_this_cpu();
    pid_t child = start_traced(argv + 2);
    unsigned long instructions = 0, system_calls = 0, at = program_counter(child), next;
    for (;; at = next) {
        int call = is_system_call(child, at), status;
        if (ptrace(PTRACE_SINGLESTEP, child, 0, 0)) err(1, "step");
        wait_for_stop(child, &status);
        int exec = status >> 16 == PTRACE_EVENT_EXEC;
        next = program_counter(child);
        // A string instruction with a repeat prefix stops once for every repetition but is one instruction.
        instructions += next != at || exec;
        system_calls += call;
        if (exec && became(child, argv[1])) break;
        if (exec) memset(known, 0, sizeof known);
    }
    kill(child, SIGKILL);
    printf("%lu\t%lu\n", instructions, system_calls);
    return 0;
}
