# shellcheck shell=bash
# The README's sections are executed as they are written.

# The first ```sh block below `### HEADING`.
readme_block() {                                         # HEADING
    awk -v heading="### $1" '
        $0 == heading { below = 1; next }
        below && /^#/ { exit }
        below && $0 == "```" { exit }
        inside { print }
        below && $0 == "```sh" { inside = 1 }' "$BATS_TEST_DIRNAME/../../README.md"
}
