// Runs a program and lets one of its system calls fail, or kills it there. Counts for each process and thread by itself and hits in one of them
// alone. `strace -e inject` also counts per process, but hits in all: the first process dies of a fault that was meant for its child or its thread.
//
//   inject REPORT list PROGRAM ARGS...                        every call, a line each: TASK NAME COUNT OBJECT
//   inject REPORT TASK NAME COUNT FAULT PROGRAM ARGS...       the line of the call that was hit, or nothing
//
// TASK    0 is the program's first thread, then processes and threads in the order in which they were started
// COUNT   1 is the task's first call of that name
// OBJECT  the path of the call, or of its descriptor; - for others
// FAULT   SIGKILL, or an errno that the call then returns without having been made
// The exit status is the program's, 128 + N if signal N ended it. What the program becomes by execve(2) runs on without any of this.
#define _GNU_SOURCE
#include <elf.h>
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_TASKS = 64, MOST_CALLS = 1024 };

static const char *const names[MOST_CALLS] = {
#include "names.h"
#ifndef __NR_statmount
    [457] = "statmount",
    [458] = "listmount",
#endif
};

static const struct fault { const char *name; int number; } faults[] = {
    {"ENOSPC", ENOSPC}, {"EIO", EIO},       {"EROFS", EROFS},   {"EMFILE", EMFILE},   {"ENFILE", ENFILE},
    {"EACCES", EACCES}, {"ENOMEM", ENOMEM}, {"EDQUOT", EDQUOT}, {"SIGKILL", 0},
};

static struct task { pid_t id; unsigned counts[MOST_CALLS]; int failing, is_asking_for_nothing; uint64_t argument; } tasks[MOST_TASKS];
static int task_count;
static FILE *report;
static int target_task = -1, target_call, target_count, target_errno; // no target: list

static struct task *task_of(pid_t id) {
    for (int i = 0; i < task_count; i++)
        if (tasks[i].id == id) return &tasks[i];
    if (task_count == MOST_TASKS) errx(125, "more than %d tasks", MOST_TASKS);
    tasks[task_count].id = id;
    return &tasks[task_count++];
}

static int call_number(const char *name) {
    for (int i = 0; i < MOST_CALLS; i++)
        if (names[i] && !strcmp(names[i], name)) return i;
    errx(125, "no system call %s", name);
}

static int fault_number(const char *name) {
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        if (!strcmp(faults[i].name, name)) return faults[i].number;
    errx(125, "no fault %s", name);
}

static int is_one_of(const char *name, const char *list) { // LIST: names between blanks
    const char *at = strstr(list, name);
    size_t length = strlen(name);
    return at && (at == list || at[-1] == ' ') && (at[length] == ' ' || at[length] == 0);
}

static int read_text(pid_t id, unsigned long at, char *text, size_t room) {
    struct iovec local = {text, room - 1}, remote = {(void *)at, room - 1};
    // Not beyond the page: the next one may not be there.
    if (at / 4096 != (at + room) / 4096) local.iov_len = remote.iov_len = 4096 - at % 4096;
    ssize_t got = process_vm_readv(id, &local, 1, &remote, 1, 0);
    text[got > 0 ? got : 0] = 0;
    return got > 0 && text[0];
}

static void print_object(pid_t id, const char *name, const uint64_t *arguments) {
    char text[512] = "", link[64];
    ssize_t length = 0;
    int is_path = is_one_of(name, "access readlink unlink rename mkdir rmdir chdir execve chmod open stat lstat statfs getxattr listxattr");
    int is_at = is_one_of(name, "openat openat2 statx newfstatat mkdirat mknodat unlinkat renameat renameat2 readlinkat faccessat faccessat2 open_tree");
    if (!(is_path && read_text(id, arguments[0], text, sizeof text)) && !(is_at && read_text(id, arguments[1], text, sizeof text))) {
        snprintf(link, sizeof link, "/proc/%d/fd/%d", id, (int)arguments[0]);
        if (is_at || is_one_of(name, "read write writev close fstat flock fchown fchmod flistxattr fgetxattr fsetxattr getdents64 setns move_mount mount_setattr"))
            length = readlink(link, text, sizeof text - 1);
        text[length > 0 ? length : 0] = 0;
    }
    for (char *at = text; *at; at++)
        if (*at <= ' ') *at = '?';
    fprintf(report, "%s\n", text[0] ? text : "-");
}

enum place { NUMBER, ARGUMENT, RESULT };

static void set_register(pid_t id, enum place place, long value) { // at the entry the call's number or first argument, at the exit its result
#if defined(__x86_64__)
    static const size_t at[] = {offsetof(struct user_regs_struct, orig_rax), offsetof(struct user_regs_struct, rdi), offsetof(struct user_regs_struct, rax)};
    if (ptrace(PTRACE_POKEUSER, id, at[place], value)) err(125, "change a register");
#elif defined(__aarch64__)
    int number = value;
    struct user_regs_struct registers;
    struct iovec call = {&number, sizeof number}, all = {&registers, sizeof registers};
    if (place == NUMBER && ptrace(PTRACE_SETREGSET, id, NT_ARM_SYSTEM_CALL, &call)) err(125, "change the call");
    if (place == NUMBER) return;
    if (ptrace(PTRACE_GETREGSET, id, NT_PRSTATUS, &all)) err(125, "read registers");
    registers.regs[0] = value;
    if (ptrace(PTRACE_SETREGSET, id, NT_PRSTATUS, &all)) err(125, "change registers");
#else
#error "write set_register for this architecture"
#endif
}

static void at_system_call(struct task *task) {
    struct __ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, task->id, sizeof info, &info) < 0) return; // killed meanwhile
    if (info.op == PTRACE_SYSCALL_INFO_EXIT && task->failing) {
        set_register(task->id, RESULT, -target_errno);
        task->failing = 0;
    }
    if (info.op == PTRACE_SYSCALL_INFO_EXIT && task->is_asking_for_nothing) {
#if defined(__x86_64__)
        // Programs rely on it that a call changes no register but that of its result.
        set_register(task->id, ARGUMENT, task->argument);
#endif
        task->is_asking_for_nothing = 0;
    }
    if (info.op != PTRACE_SYSCALL_INFO_ENTRY || info.entry.nr >= MOST_CALLS) return;
    int call = info.entry.nr, index = task - tasks;
    unsigned count = ++task->counts[call];
    if (target_task >= 0 && (index != target_task || call != target_call || (int)count != target_count)) return;
    if (!names[call]) errx(125, "system call %d has no name here", call);
    fprintf(report, "%d %s %u ", index, names[call], count);
    print_object(task->id, names[call], info.entry.args);
    if (target_task < 0) return;
    fflush(report); // we may be killed, too
    if (!target_errno) {
        kill(task->id, SIGKILL);
        return;
    }
    // brk(2) has no errors: it fails by changing nothing, as when it is asked for nothing.
    if (call == __NR_brk) {
        task->argument = info.entry.args[0];
        task->is_asking_for_nothing = 1;
        set_register(task->id, ARGUMENT, 0);
        return;
    }
    set_register(task->id, NUMBER, -1);
    task->failing = 1;
}

// The signal that the task is to get.
static int at_stop(struct task *task, int status, int *is_listening) {
    int signal = WSTOPSIG(status), event = status >> 16;
    unsigned long started;
    *is_listening = 0;
    if (signal == (SIGTRAP | 0x80)) {
        at_system_call(task);
    } else if (event == PTRACE_EVENT_CLONE || event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK) {
        if (!ptrace(PTRACE_GETEVENTMSG, task->id, 0, &started)) task_of(started);
    } else if (event == PTRACE_EVENT_STOP) {
        *is_listening = signal != SIGTRAP;
    } else if (!event) {
        return signal;
    }
    return 0;
}

static pid_t start(char **argv) {
    pid_t child = fork();
    if (child < 0) err(125, "fork");
    if (child == 0) {
        raise(SIGSTOP);
        execv(argv[0], argv);
        err(125, "start %s", argv[0]);
    }
    long options = PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;
    if (waitpid(child, NULL, WUNTRACED) != child) err(125, "wait");
    if (ptrace(PTRACE_SEIZE, child, 0, options)) err(125, "trace");
    kill(child, SIGCONT);
    return child;
}

// Until all that was started has ended. The status of the first process.
static int follow(pid_t first) {
    int status, result = 0, execs = 0, is_listening;
    pid_t id;
    while ((id = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
        if (id <= 0) continue;
        if (!WIFSTOPPED(status)) {
            if (id == first) result = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
            continue;
        }
        if (status >> 16 == PTRACE_EVENT_EXEC) {
            execs++;
            task_of(first)->failing = 0;
            memset(task_of(first)->counts, 0, sizeof tasks->counts);
            if (execs > 1 && !ptrace(PTRACE_DETACH, id, 0, 0)) continue;
        }
        // What happens before the program has started is ours.
        int signal = execs ? at_stop(task_of(id), status, &is_listening) : (is_listening = 0);
        ptrace(is_listening ? PTRACE_LISTEN : PTRACE_SYSCALL, id, 0, signal);
    }
    return result;
}

int main(int argc, char **argv) {
    int is_list = argc > 3 && !strcmp(argv[2], "list");
    if (!is_list && argc < 7) errx(125, "usage: inject REPORT list|TASK NAME COUNT FAULT PROGRAM ARGS...");
    report = fopen(argv[1], "we");
    if (!report) err(125, "open %s", argv[1]);
    if (!is_list) {
        target_task = atoi(argv[2]);
        target_call = call_number(argv[3]);
        target_count = atoi(argv[4]);
        target_errno = fault_number(argv[5]);
    }
    pid_t first = start(argv + (is_list ? 3 : 6));
    task_of(first);
    int status = follow(first);
    fclose(report);
    return status;
}
