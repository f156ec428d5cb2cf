// A host with many mounts: the folders 1 to COUNT are made below FOLDER and bound on themselves, in the mount namespace where this runs.
//   binds COUNT FOLDER PROGRAM [ARG...]        then becomes PROGRAM
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc < 4) errx(2, "usage: binds COUNT FOLDER PROGRAM [ARG...]");
    for (int i = 1; i <= atoi(argv[1]); i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%d", argv[2], i);
        if (mkdir(path, 0755) || mount(path, path, NULL, MS_BIND, NULL)) err(1, "bind %s", path);
    }
    execv(argv[3], argv + 3);
    err(1, "start %s", argv[3]);
}
