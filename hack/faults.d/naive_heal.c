// The control for heal: makes a private mount a slave of the host's in two calls, first its peer and then its slave, and ignores what fails.
//
//   naive_heal PID HOST-PATH PATH
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MOVE_MOUNT_SET_GROUP
#define MOVE_MOUNT_SET_GROUP 0x100
#endif
enum { SLAVE = 1 << 19 };

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    char name[64];
    snprintf(name, sizeof name, "/proc/%s/ns/mnt", argv[1]);
    int from = open(argv[2], O_PATH | O_CLOEXEC);
    setns(open(name, O_RDONLY | O_CLOEXEC), CLONE_NEWNS);
    int to = open(argv[3], O_PATH | O_CLOEXEC);
    syscall(SYS_move_mount, from, "", to, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH | MOVE_MOUNT_SET_GROUP);
    struct mount_attr slave = {.propagation = SLAVE};
    syscall(SYS_mount_setattr, to, "", 0x1000, &slave, sizeof slave);
    return 0;
}
