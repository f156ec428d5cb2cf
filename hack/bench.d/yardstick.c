// The yardstick: the least a C programmer would write to stand in front of a runtime. It passes argv and the environment on and does nothing else.
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv) {
    (void)argc;
    execve(RUNTIME, argv, environ);
    return 127;
}
