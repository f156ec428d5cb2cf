# The lines of flood.c, with the case and how many at once before each, as a Markdown table. The last line of a case is what it is compared with.
BEGIN {
    FS = "\t"
    title["guard"] = "runc-guard"; title["C"] = "C, execve only"; title["bare"] = "without runc-guard"
    print "| case | program | items, at once | failed | p50 / p99, ms | p50 ÷ / p99 ÷ | cpu median, ms | cpu ÷ | peak memory, kB |"
    print "|---|---|---|---|---|---|---|---|---|"
}

function row(i, last,    ratios, cpu) {
    ratios = i == last || !wall[last] ? "" : sprintf("%.2f / %.2f", wall[i] / wall[last], tail[i] / tail[last])
    cpu = i == last || !used[last] ? "" : sprintf("%.2f", used[i] / used[last])
    printf "| %s | %s | %d, %d | %d | %.1f / %.1f | %s | %.2f | %s | %d |\n", name[i], title[program[i]], items[i], at_once[i], failed[i], wall[i], tail[i],
        ratios, used[i], cpu, memory[i]
}

{
    name[NR] = $1; at_once[NR] = $2; program[NR] = $3; items[NR] = $4; failed[NR] = $5
    wall[NR] = $6; tail[NR] = $7; used[NR] = $8; memory[NR] = $9
    reference[$1] = NR
}

END { for (i = 1; i <= NR; i++) row(i, reference[name[i]]) }
