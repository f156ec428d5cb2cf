# The lines of hack/bench.d/operator as a Markdown table, then one line per target.
BEGIN {
    FS = "\t"
    title["floor"] = "C, reads each table once"; title["all"] = "`holders`, all containers hold"
    title["none"] = "`holders`, none holds"; title["audit"] = "`audit`, all containers pin"
}

$1 == "size" { printf "%s containers; %s in all.\n\n", $2, $3; next }

{ order[++rows] = $1; wall[$1] = $2; wall_median[$1] = $3; cpu[$1] = $4; cpu_median[$1] = $5; memory[$1] = $6 }

END {
    print "| command | wall min / median, ms | cpu min / median, ms | wall ÷ C | cpu ÷ C | memory, kB |"
    print "|---|---|---|---|---|---|"
    for (i = 1; i <= rows; i++) {
        name = order[i]
        printf "| %s | %.1f / %.1f | %.1f / %.1f | %.2f | %.2f | %d |\n", title[name], wall[name], wall_median[name], cpu[name], cpu_median[name],
            wall[name] / wall["floor"], cpu[name] / cpu["floor"], memory[name]
    }
    print ""
    for (i = 1; i <= rows; i++) {
        name = order[i]
        if (name != "floor") printf "- %s ≤ 60 ms: %.1f (%.1f of CPU): **%s**\n", title[name], wall[name], cpu[name], wall[name] <= 60 ? "met" : "MISSED"
    }
}
