// The race: runs every contestant once a round, in a new random order each round, and prints the least and the median time of each.
// Only such interleaved figures may be compared: the clock of a shared machine drifts between two runs by more than what is measured here.
//
//   race ROUNDS CONFIG MOUNTS_DIR <PLAN
//
// CONFIG      path of the bundle's config.json, made anew before every start
// MOUNTS_DIR  folder with the folders 0, 1, 2, ... that are bound on themselves to make a host with many mounts
// PLAN        one contestant a line, nine fields between tabs:
//             case, program, mounts on the host, pristine config.json or -, keep or change (what must happen to it), instructions, system calls,
//             environment, argv (both between blanks); the fields before "environment" that are not needed here are printed as they came
// Output: one line a contestant: case, program, instructions, system calls, wall min, wall median, cpu min, cpu median (microseconds)
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONTESTANTS = 128, MAX_WORDS = 64, FIELDS = 9 };

struct contestant {
    const char *case_name, *program, *instructions, *system_calls;
    const char *config; // pristine text, NULL: the command reads no bundle
    size_t config_size;
    int must_change;
    int namespace_fd;
    char *environment[MAX_WORDS], *argv[MAX_WORDS];
    double *wall, *cpu;
};

static struct contestant contestants[MAX_CONTESTANTS];
static int contestant_count;
static const char *config_path, *mounts_dir;
static char config_temp[4096];

static int mount_count(void) {
    FILE *table = fopen("/proc/self/mountinfo", "r");
    if (!table) err(1, "open /proc/self/mountinfo");
    int lines = 0, c;
    while ((c = getc(table)) != EOF) lines += c == '\n';
    fclose(table);
    return lines;
}

// Runs in a child: its mount namespace gets `wanted` mounts (or what the machine has, if that is more).
static void fill_namespace(int wanted) {
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) err(1, "make a mount namespace");
    int missing = wanted - mount_count();
    for (int i = 0; i < missing; i++) {
        char dir[4096];
        snprintf(dir, sizeof dir, "%s/%d", mounts_dir, i);
        if (mkdir(dir, 0755) && access(dir, F_OK)) err(1, "mkdir %s", dir);
        if (mount(dir, dir, NULL, MS_BIND, NULL)) err(1, "bind %s", dir);
    }
}

// A descriptor is all that holds the namespace: it ends with this process, however that ends.
static int namespace_with(int wanted) {
    static struct { int wanted, fd; } made[16];
    static int made_count;
    for (int i = 0; i < made_count; i++)
        if (made[i].wanted == wanted) return made[i].fd;
    if (made_count == sizeof made / sizeof *made) errx(1, "too many kinds of hosts");
    int ready[2], done[2];
    if (pipe(ready) || pipe(done)) err(1, "pipe");
    pid_t child = fork();
    if (child < 0) err(1, "fork");
    char byte = 0;
    if (child == 0) {
        close(done[1]);
        fill_namespace(wanted);
        if (write(ready[1], &byte, 1) != 1) _exit(1);
        _exit(read(done[0], &byte, 1) != 0);
    }
    close(ready[1]), close(done[0]);
    if (read(ready[0], &byte, 1) != 1) errx(1, "no namespace with %d mounts", wanted);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/mnt", child);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) err(1, "open %s", path);
    close(done[1]), close(ready[0]);
    waitpid(child, NULL, 0);
    made[made_count].wanted = wanted;
    return made[made_count++].fd = fd;
}

static void read_pristine(struct contestant *c, const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st)) err(1, "open %s", path);
    char *text = malloc(st.st_size);
    if (!text || read(fd, text, st.st_size) != st.st_size) err(1, "read %s", path);
    close(fd);
    c->config = text, c->config_size = st.st_size;
}

static void split_words(char *text, char **words) {
    int n = 0;
    for (char *word = strtok(text, " "); word && n < MAX_WORDS - 1; word = strtok(NULL, " ")) words[n++] = word;
}

static void read_plan(int rounds) {
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0) {
        if (contestant_count == MAX_CONTESTANTS) errx(1, "more than %d contestants", MAX_CONTESTANTS);
        struct contestant *c = &contestants[contestant_count++];
        char *field[FIELDS], *rest = strdup(line);
        rest[strcspn(rest, "\n")] = 0;
        for (int i = 0; i < FIELDS; i++)
            if (!(field[i] = strsep(&rest, "\t"))) errx(1, "plan line with %d fields: %s", i, line);
        c->case_name = field[0], c->program = field[1];
        c->namespace_fd = namespace_with(atoi(field[2]));
        if (strcmp(field[3], "-")) read_pristine(c, field[3]);
        c->must_change = !strcmp(field[4], "change");
        c->instructions = field[5], c->system_calls = field[6];
        split_words(field[7], c->environment);
        split_words(field[8], c->argv);
        c->wall = calloc(rounds, sizeof(double)), c->cpu = calloc(rounds, sizeof(double));
    }
    free(line);
}

// What an engine leaves in the bundle: a new file each time. Returns its inode.
static ino_t fresh_config(const struct contestant *c) {
    int fd = open(config_temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    struct stat st;
    if (fd < 0 || write(fd, c->config, c->config_size) != (ssize_t)c->config_size || fstat(fd, &st)) err(1, "write %s", config_temp);
    close(fd);
    if (rename(config_temp, config_path)) err(1, "rename %s", config_temp);
    return st.st_ino;
}

static double microseconds(struct timeval t) { return t.tv_sec * 1e6 + t.tv_usec; }

static void start_once(struct contestant *c, int round) {
    if (setns(c->namespace_fd, CLONE_NEWNS)) err(1, "setns");
    ino_t inode = c->config ? fresh_config(c) : 0;
    struct timespec begin, end;
    struct rusage used;
    int status;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    pid_t child = vfork();
    if (child == 0) {
        execve(c->argv[0], c->argv, c->environment);
        _exit(126);
    }
    if (child < 0 || wait4(child, &status, 0, &used) != child) err(1, "start %s", c->argv[0]);
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (status) errx(1, "%s, %s: wait status %#x instead of 0", c->case_name, c->program, status);
    struct stat st;
    if (c->config && stat(config_path, &st)) err(1, "stat %s", config_path);
    if (c->config && (st.st_ino != inode) != c->must_change)
        errx(1, "%s, %s: config.json was %s", c->case_name, c->program, c->must_change ? "not rewritten" : "rewritten");
    c->wall[round] = (end.tv_sec - begin.tv_sec) * 1e6 + (end.tv_nsec - begin.tv_nsec) / 1e3;
    c->cpu[round] = microseconds(used.ru_utime) + microseconds(used.ru_stime);
}

static void run_round(int round) {
    int order[MAX_CONTESTANTS];
    for (int i = 0; i < contestant_count; i++) {
        int j = random() % (i + 1);
        order[i] = order[j], order[j] = i;
    }
    for (int i = 0; i < contestant_count; i++) start_once(&contestants[order[i]], round);
}

static void pin_to_one_cpu(void) {
    cpu_set_t allowed, one;
    if (sched_getaffinity(0, sizeof allowed, &allowed)) err(1, "sched_getaffinity");
    CPU_ZERO(&one);
    // The last one: the first takes most of the interrupts.
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--)
        if (CPU_ISSET(cpu, &allowed)) {
            CPU_SET(cpu, &one);
            break;
        }
    if (sched_setaffinity(0, sizeof one, &one)) err(1, "sched_setaffinity");
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    int rounds = argc == 4 ? atoi(argv[1]) : 0;
    if (rounds < 1) errx(2, "usage: race ROUNDS CONFIG MOUNTS_DIR <PLAN");
    config_path = argv[2], mounts_dir = argv[3];
    snprintf(config_temp, sizeof config_temp, "%s.fresh", config_path);
    read_plan(rounds);
    pin_to_one_cpu();
    srandom(time(NULL));
    for (int i = 0; i < 3; i++) run_round(0); // warm the page cache
    for (int i = 0; i < rounds; i++) run_round(i);
    for (int i = 0; i < contestant_count; i++) {
        struct contestant *c = &contestants[i];
        qsort(c->wall, rounds, sizeof(double), by_value);
        qsort(c->cpu, rounds, sizeof(double), by_value);
        printf("%s\t%s\t%s\t%s\t%.1f\t%.1f\t%.1f\t%.1f\n", c->case_name, c->program, c->instructions, c->system_calls,
               c->wall[0], c->wall[rounds / 2], c->cpu[0], c->cpu[rounds / 2]);
    }
    return 0;
}
