#!/usr/bin/env bats
# Destinations that are not spelt as the kernel spells them: already the checkpoint fails, because no key of the runtime fits.
# The columns are explained in restore_rows.bash.
# shellcheck disable=SC2034  # makers return in variables

load helpers
load restore_rows

# Kubernetes: the service account's token below another volume.
service_account() {
    SPELT=anew
    on_each_host tmpfs_at secrets
    on_each_host directory_at token
    bind secrets /run/secrets
    bind token /var/run/secrets/kubernetes.io/serviceaccount
}

absolute_var_run() { ln -sfn /run "$BUNDLE/rootfs/var/run"; }
service_account_absolute() { absolute_var_run; service_account; }

two_binds() {                                            # DESTINATION DESTINATION
    SPELT=anew
    on_each_host directory_at a
    on_each_host directory_at b
    bind a "$1"
    bind b "$2"
}

on_tmpfs_through_var_run() { tmpfs /run; two_binds /run/secrets /var/run/secrets/x; }
both_on_tmpfs_through_var_run() { absolute_var_run; tmpfs /run; two_binds /var/run/secrets /var/run/secrets/x; }
trailing_slash() { two_binds /test/ /test/x/; }
dots() { two_binds /test/../test /test/y/../x; }
single_dots() { two_binds /./test /test/./x; }
double_slashes() { two_binds //test /test//x; }
relative() { two_binds test test/x; }

symlink_in_source() {
    SPELT=anew
    on_each_host directory_at a/real
    on_each_host symlink_at a/link real
    on_each_host directory_at b
    bind a /test
    bind b /test/link/x
}

#            description                               maker                         1.1.15 1.3.6 1.21   1.28   created
restore_row "/var/run -> /run"                         service_account_absolute      ok     ok    CK-key CK-key \
    secrets:kubernetes.io/ secrets:kubernetes.io/serviceaccount/
restore_row "/var/run -> ../run"                       service_account               ok     ok    CK-key CK-key \
    secrets:kubernetes.io/ secrets:kubernetes.io/serviceaccount/
restore_row "on an internal tmpfs, through /var/run"   on_tmpfs_through_var_run      stat   stat  CK-key CK-key a/x/
restore_row "both through /var/run"                    both_on_tmpfs_through_var_run ok     ok    CK-key CK-key a/x/
restore_row "a trailing slash"                         trailing_slash                ok     ok    CK-key CK-key a/x/
restore_row ".."                                       dots                          ok     ok    CK-key CK-key a/x/
restore_row "."                                        single_dots                   ok     ok    CK-key CK-key a/x/
restore_row "//"                                       double_slashes                ok     ok    CK-key CK-key a/x/
restore_row "relative"                                 relative                      ok     ok    CK-key stat   a/x/
restore_row "through a symlink in another source"      symlink_in_source             CK-key CK-key CK-key CK-key a/real/x/

# --- without the rule ------------------------------------------------------------------------------------------------
without_rule() {                                         # RUNTIME MAKER CELL
    CELL=$3 TOLERANT=
    SETTINGS=$'[rules.checkpointable-mounts]\nenabled = false'
    make_case guarded "$2"
    assert_no_checkpoint guard "$1"
}
test_with_each_runtime "with checkpointable-mounts switched off, as without the guard" without_rule symlink_in_source CK-key
bats_test_function --description "crun: /var/run with checkpointable-mounts switched off" -- without_rule crun service_account CK-key
