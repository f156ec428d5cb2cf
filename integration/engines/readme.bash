# shellcheck shell=bash
# The copy-and-paste sections of the README, to be executed as written.

# The first ```sh block below `### HEADING`.
readme_block() {                                         # HEADING
    awk -v heading="### $1" '
        inside && $0 == "```" { exit }
        inside { print; next }
        found && /^##/ { exit }
        $0 == heading { found = 1 }
        found && $0 == "```sh" { inside = 1 }
    ' "${BATS_TEST_DIRNAME:?}/../../README.md"
}
