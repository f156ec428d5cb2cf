// The floor of the operator's commands: reads the mount table of every process once, and does nothing with it.
//   floor        prints how many tables there are, and how many bytes and lines are in them
#include <ctype.h>
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(void) {
    DIR *proc = opendir("/proc");
    if (!proc) err(1, "open /proc");
    static char buffer[1 << 16];
    unsigned long tables = 0, bytes = 0, lines = 0;
    for (struct dirent *entry; (entry = readdir(proc));) {
        if (!isdigit((unsigned char)entry->d_name[0])) continue;
        char path[300];
        snprintf(path, sizeof path, "/proc/%s/mountinfo", entry->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) continue; // it has ended
        for (ssize_t count; (count = read(fd, buffer, sizeof buffer)) > 0; bytes += count)
            for (ssize_t i = 0; i < count; i++) lines += buffer[i] == '\n';
        close(fd);
        tables++;
    }
    printf("%lu tables, %lu bytes, %lu mounts\n", tables, bytes, lines);
    return 0;
}
