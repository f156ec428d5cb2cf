# The lines of race.c as a Markdown table, then one line per target.
BEGIN {
    FS = "\t"
    title["state"] = "`state`, no settings file"
    title["state-settings"] = "`state`, settings by RUNC_GUARD_CONFIG"
    name["runc"] = "no-op runtime alone"; name["c-musl"] = "C, static musl"; name["c-glibc"] = "C, static glibc"; name["runc-guard"] = "runc-guard"
    kind["keep"] = "17 kB, unchanged"; kind["rewrite"] = "17 kB, rewritten"; kind["undecided"] = "17 kB, one undecided bind"
}

function case_title(id,    part) {
    if (id in title) return title[id]
    split(id, part, "-")
    if (part[1] == "mounts") return "`create`, " part[2] " mounts, unchanged"
    return "`create`, " kind[part[1]] ", host with " part[2] " mounts"
}

{
    order[NR] = $1 FS $2
    instructions[$1, $2] = $3; system_calls[$1, $2] = $4
    wall[$1, $2] = $5; wall_median[$1, $2] = $6; cpu[$1, $2] = $7; cpu_median[$1, $2] = $8
}

function row(id, program,    c) {
    c = wall[id, "c-glibc"]
    printf "| %s | %s | %.0f / %.0f | %.0f / %.0f | %.2f | %.2f | %+.0f | %s | %s |\n", case_title(id), name[program],
        wall[id, program], wall_median[id, program], cpu[id, program], cpu_median[id, program],
        wall[id, program] / c, cpu[id, program] / cpu[id, "c-glibc"], wall[id, program] - c, instructions[id, program], system_calls[id, program]
}

function verdict(text, met) { printf "- %s: **%s**\n", text, met ? "met" : "MISSED" }

function state_target(id,    by_wall, by_cpu) {
    by_wall = wall[id, "runc-guard"] / wall[id, "c-glibc"]
    by_cpu = cpu[id, "runc-guard"] / cpu[id, "c-glibc"]
    verdict(sprintf("%s ≤ 1.25 × C: wall %.2f, cpu %.2f", title[id], by_wall, by_cpu), by_wall <= 1.25 && by_cpu <= 1.25)
}

function added_target(id, limit,    added) {
    added = (wall[id, "runc-guard"] - wall[id, "c-glibc"]) / 1000
    verdict(sprintf("%s ≤ C + %.2f ms: %+.3f ms", case_title(id), limit, added), added <= limit)
}

function host_target(what,    growth) {
    growth = wall[what "-10000", "runc-guard"] / wall[what "-30", "runc-guard"]
    verdict(sprintf("`create`, %s: no growth with the host's mounts (10 000 ≤ 1.2 × 30): %.2f", kind[what], growth), growth <= 1.2)
}

function per_mount(count) { return (wall["mounts-" count, "runc-guard"] - wall["mounts-" count, "c-glibc"]) / count }

END {
    print "| call | program | wall min / median | cpu min / median | wall ÷ C | cpu ÷ C | wall − C | instructions | system calls |"
    print "|---|---|---|---|---|---|---|---|---|"
    for (i = 1; i <= NR; i++) {
        split(order[i], part, FS)
        # The C program does not read anything: its rows differ by noise only, and one is enough to see.
        if (part[2] != "c-glibc" || part[1] == "state") row(part[1], part[2])
    }
    print ""
    state_target("state")
    state_target("state-settings")
    added_target("keep-30", 0.15)
    added_target("rewrite-30", 0.20)
    host_target("keep")
    host_target("rewrite")
    verdict(sprintf("`create`, many mounts in config.json: linear (per mount at 10 000 ≤ 2 × at 1 000): %.2f µs and %.2f µs",
        per_mount(10000), per_mount(1000)), per_mount(10000) <= 2 * per_mount(1000))
}
