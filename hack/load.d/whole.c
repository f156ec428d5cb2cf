// Stands in the runtime's place and reads what a runtime reads: the bundle's config.json must be one of two documents, whole.
//   whole ... --bundle BUNDLE ...        exit status 0: it is OLD or NEW; 3: neither; both are compiled in
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ROOM = 1 << 18 };

static ssize_t contents(const char *path, char *room) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t count, filled = 0;
    while (fd >= 0 && (count = read(fd, room + filled, ROOM - filled)) > 0) filled += count;
    return fd < 0 ? -1 : filled;
}

int main(int argc, char **argv) {
    static char config[ROOM], known[ROOM];
    char path[4096] = "";
    for (int i = 1; i + 1 < argc; i++)
        if (!strcmp(argv[i], "--bundle")) snprintf(path, sizeof path, "%s/config.json", argv[i + 1]);
    ssize_t size = contents(path, config);
    if (size > 0 && contents(OLD, known) == size && !memcmp(config, known, size)) return 0;
    if (size > 0 && contents(NEW, known) == size && !memcmp(config, known, size)) return 0;
    fprintf(stderr, "torn: %s with %zd bytes\n", path, size);
    return 3;
}
