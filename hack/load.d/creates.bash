# shellcheck shell=bash
# Runtimes that do nothing: thousands of rewrites, 200 at once.

# One bind overlaps the protected root by path, of another only its mount can tell.
write_documents() {
    mkdir -p "$WORK"/{protected/volumes,elsewhere,sources,sample,host}
    jq -n -c --arg work "$WORK" --arg kind rewrite --argjson mounts 0 -f "$HERE/../bench.d/config.jq" |
        jq -c --arg from "$WORK/elsewhere" '.mounts += [{destination: "/data", type: "bind", source: $from, options: ["rbind", "rprivate"]}]' >"$WORK/old.json"
    seq -f "$WORK/sources/%.0f" 0 2 9998 | xargs mkdir
    jq -n -c --arg work "$WORK" --arg kind mounts --argjson mounts 9999 -f "$HERE/../bench.d/config.jq" |
        jq -c --arg from "$WORK/protected" '.mounts += [{destination: "/host", type: "bind", source: $from, options: ["rbind", "rprivate", "rw"]}]' >"$WORK/old-10000.json"
    settings sample "$TOOLS/runc"
    rewritten old.json new.json
    rewritten old-10000.json new-10000.json
}

# What the guard makes of a document when nothing else is going on; jq says whether it is what it should be.
rewritten() {                                            # OLD NEW
    cp "$WORK/$1" "$WORK/sample/config.json"
    "$TOOLS/runc-guard" create --bundle "$WORK/sample" sample
    mv "$WORK/sample/config.json" "$WORK/$2"
    verdict "one create makes the bind a slave and changes no other mount" "$(diff \
        <(jq -S '.linux.rootfsPropagation = "rslave" | (.mounts[] | select(.destination == "/host") | .options) = ["rbind", "rslave", "rw"]' "$WORK/$1") \
        <(jq -S '(.mounts[] | select(.destination == "/host") | .options) |= sort' "$WORK/$2"))"
}

guard_call() { printf 'guard\t%s' "$TOOLS/runc-guard --root $WORK/state --log $WORK/oci.log --log-format json create --bundle $1 $2"; }

# Against a C program that executes the runtime and does nothing else.
own_bundles() {                                          # CASE COUNT AT_ONCE OLD NEW [PROGRAM-BEFORE-IT...]
    local bundles=$WORK/bundles problems
    make_bundles "$bundles" "$2" "$WORK/$4"
    settings own "$TOOLS/runc"
    flood "$1" "$2" "$3" "${@:6}" < <(guard_call "$bundles/%" id-%; printf '\nC\t%s create --bundle %s\n' "$TOOLS/c" "$bundles/%")
    problems=$("$HERE/check" "$bundles" "$WORK/$5" "$WORK/own.log" "$2" "$TOOLS")
    verdict "$1: $2 documents rewritten, $2 whole log lines, nothing left" "$problems"
    rm -rf "$bundles"
}

# An engine that writes the bundle anew all the time, and a runtime that looks whether what it reads is whole.
one_bundle() {                                           # COUNT
    local bundle=$WORK/one/bundle engine
    mkdir -p "$bundle" "$WORK/engine"
    cp "$WORK/old.json" "$bundle/config.json"
    settings one "$TOOLS/whole/runc"
    until [[ -e $WORK/engine/stop ]]; do
        cp "$WORK/old.json" "$WORK/engine/new"
        mv "$WORK/engine/new" "$bundle/config.json"
        sleep 0.01
    done &
    engine=$!
    flood "no-op runtime, all the same bundle" "$1" 200 < <(guard_call "$bundle" id-%; echo)
    touch "$WORK/engine/stop"
    wait "$engine"
    "$TOOLS/runc-guard" create --bundle "$bundle" last
    verdict "all the same bundle: old or new for each, new for the last, nothing left" \
        "$("$HERE/check" "$WORK/one" "$WORK/new.json" "$WORK/one.log" - "$TOOLS")"
    verdict "all the same bundle: control: it was rewritten more often than once" "$(
        (($(jq -s 'map(select(.changes)) | length' "$WORK/one.log") > 1)) || echo "$(wc -l <"$WORK/one.log") lines in the log")"
}

control_naive() {
    local bundle=$WORK/naive seen
    mkdir -p "$bundle"
    cp "$WORK/old.json" "$bundle/config.json"
    : >"$WORK/errors"
    "$TOOLS/flood" 400 200 "$WORK/errors" <<<"naive"$'\t'"$HERE/naive $WORK/new.json $TOOLS/whole/runc create --bundle $bundle id-%" >/dev/null
    seen=$(grep -c '^torn: ' "$WORK/errors" || true)
    verdict "control: a program that writes into config.json is caught ($seen of 400 runtimes read a torn one)" "$( ((seen > 0)) || echo "not once in 400")"
}

# Each kind of defect, planted once.
control_check() {
    local planted=$WORK/planted/bundles log=$WORK/planted/log found
    make_bundles "$planted" 4 "$WORK/new.json"
    head -c 2000 "$WORK/new.json" >"$planted/1/config.json"
    touch "$planted/2/.config.json.temporary"
    flock --no-fork "$planted/4/config.json" sleep 1000 &
    cp "$(command -v sleep)" "$TOOLS/still"
    "$TOOLS/still" 1000 &
    until grep -qF ":$(stat -c %i "$planted/4/config.json") " /proc/locks && [[ $(readlink "/proc/$!/exe") == "$TOOLS/still" ]]; do sleep 0.05; done
    printf '{"id":"a"}\n{"id":{"id":"b"}\n"c"}\n' >"$log"
    found=$("$HERE/check" "$planted" "$WORK/new.json" "$log" 3 "$TOOLS" | sed 's/[:0-9].*//' | sort -u | tr '\n' ',')
    # shellcheck disable=SC2046  # two numbers
    kill $(jobs -p)
    wait
    rm "$TOOLS/still"
    verdict "control: each planted defect is found" "$(diff <(echo "$found") <(echo ",left behind,locked,not ,not the rewritten document,still runs,"))"
}

many_creates() {
    write_documents
    control_check
    control_naive
    own_bundles "no-op runtime" "$(size 2000 10000)" 200 old.json new.json
    one_bundle "$(size 1000 5000)"
    own_bundles "no-op runtime, host with 10 000 mounts" "$(size 400 2000)" 200 old.json new.json \
        unshare --mount --propagation private "$TOOLS/binds" 10000 "$WORK/host"
    rm -rf "$WORK/host"/*
    own_bundles "no-op runtime, config.json with 10 000 mounts" "$(size 20 400)" 20 old-10000.json new-10000.json
}
