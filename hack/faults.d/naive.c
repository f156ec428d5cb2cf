// The control of the fault lab: what every peer does. Reads config.json, makes the same change, truncates and writes in place, ignores what fails,
// and becomes the runtime.
//
//   naive RUNTIME COMMAND... --bundle BUNDLE ID
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
    static char text[1 << 16], path[4096];
    const char from[] = "\"rprivate\"", to[] = "\"rslave\"";
    snprintf(path, sizeof path, "%s/config.json", argv[argc - 2]);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    read(file, text, sizeof text - 1);
    close(file);
    char *at = strstr(text, from);
    if (at) {
        char *rest = at + strlen(from);
        file = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
        write(file, text, at - text);
        write(file, to, strlen(to));
        write(file, rest, strlen(rest));
        close(file);
    }
    execv(argv[1], argv + 1);
    return 0;
}
