# Input: "bare|guarded<tab>RUN<tab>FILE<tab>VERDICT<tab>TEST". Output: the tests that were judged otherwise with runc-guard, as
# "FILE<tab>TEST<tab>VERDICTS BARE<tab>VERDICTS GUARDED". Whatever was run again is judged by those runs: with runc-guard a test may not do
# what it never does without. What is unsteady without may be so with it.
BEGIN { FS = OFS = "\t" }

{
    test = $3 OFS $5
    tests[test]
    last[test] = $2 > last[test] ? $2 : last[test]
    if (!((test, $1, $2) in verdict)) verdict[test, $1, $2] = $4
    else if (verdict[test, $1, $2] != $4) verdict[test, $1, $2] = "both"      # two tests of one name
}

function seen(test, way, run) { return (test, way, run) in verdict ? verdict[test, way, run] : "missing" }

function list(test, way,    run, text) {
    for (run = 1; run <= last[test]; run++) text = text (run > 1 ? ", " : "") seen(test, way, run)
    return text
}

function does_so_bare(test, what,    run) {
    for (run = 1; run <= last[test]; run++) if (seen(test, "bare", run) == what) return 1
    return 0
}

END {
    for (test in tests) {
        changed = 0
        for (run = last[test] > 1 ? 2 : 1; run <= last[test]; run++)
            if (!does_so_bare(test, seen(test, "guarded", run))) changed = 1
        if (changed) print test, list(test, "bare"), list(test, "guarded")
    }
}
