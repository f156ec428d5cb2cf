// Runs every contestant once a round, in a new random order each round: only such interleaved figures may be compared.
//
//   rounds ROUNDS <PLAN
//
// PLAN    one contestant a line, three fields between tabs: name, the exit status it must end with, argv (between blanks)
// Output  one line a contestant: name, wall min, wall median, cpu min, cpu median (milliseconds), most memory of any round (kB)
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

enum { MAX_CONTESTANTS = 32, MAX_WORDS = 32, FIELDS = 3, WARM_UPS = 2 };

struct contestant {
    char *name, *argv[MAX_WORDS];
    int status;
    long memory;
    double *wall, *cpu;
};

static struct contestant contestants[MAX_CONTESTANTS];
static int contestant_count;
static posix_spawn_file_actions_t silent;
extern char **environ;

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
        c->name = field[0], c->status = atoi(field[1]);
        int words = 0;
        for (char *word = strtok(field[2], " "); word && words < MAX_WORDS - 1; word = strtok(NULL, " ")) c->argv[words++] = word;
        c->wall = calloc(rounds, sizeof(double)), c->cpu = calloc(rounds, sizeof(double));
    }
    free(line);
}

static double milliseconds(struct timeval t) { return t.tv_sec * 1e3 + t.tv_usec / 1e3; }

// Of what a contestant left behind, too: a child that did the work may end after it.
static void add_usage(struct contestant *c, int round, const struct rusage *used) {
    c->cpu[round] += milliseconds(used->ru_utime) + milliseconds(used->ru_stime);
    if (used->ru_maxrss > c->memory) c->memory = used->ru_maxrss;
}

static void run_once(struct contestant *c, int round) {
    struct timespec begin, end;
    struct rusage used;
    int status;
    pid_t child;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    if (posix_spawn(&child, c->argv[0], &silent, NULL, c->argv, environ)) errx(1, "cannot start %s", c->argv[0]);
    if (wait4(child, &status, 0, &used) != child) err(1, "wait for %s", c->argv[0]);
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != c->status) errx(1, "%s: wait status %#x, not exit status %d", c->name, status, c->status);
    c->wall[round] = (end.tv_sec - begin.tv_sec) * 1e3 + (end.tv_nsec - begin.tv_nsec) / 1e6;
    c->cpu[round] = 0;
    add_usage(c, round, &used);
    while (wait4(-1, NULL, 0, &used) > 0) add_usage(c, round, &used);
}

static void run_round(int round) {
    int order[MAX_CONTESTANTS];
    for (int i = 0; i < contestant_count; i++) {
        int j = random() % (i + 1);
        order[i] = order[j], order[j] = i;
    }
    for (int i = 0; i < contestant_count; i++) run_once(&contestants[order[i]], round);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    int rounds = argc == 2 ? atoi(argv[1]) : 0;
    if (rounds < 1) errx(2, "usage: rounds ROUNDS <PLAN");
    if (prctl(PR_SET_CHILD_SUBREAPER, 1)) err(1, "become the parent of orphans");
    read_plan(rounds);
    posix_spawn_file_actions_init(&silent);
    posix_spawn_file_actions_addopen(&silent, 1, "/dev/null", O_WRONLY, 0);
    srandom(time(NULL));
    for (int i = 0; i < WARM_UPS; i++) run_round(0);
    for (int i = 0; i < rounds; i++) run_round(i);
    for (int i = 0; i < contestant_count; i++) {
        struct contestant *c = &contestants[i];
        qsort(c->wall, rounds, sizeof(double), by_value);
        qsort(c->cpu, rounds, sizeof(double), by_value);
        printf("%s\t%.2f\t%.2f\t%.2f\t%.2f\t%ld\n", c->name, c->wall[0], c->wall[rounds / 2], c->cpu[0], c->cpu[rounds / 2], c->memory);
    }
    return 0;
}
