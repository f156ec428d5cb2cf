#!/usr/bin/env bats
# At restore the engine has written config.json anew, without what the create changed: the rewrite must be made again, and CRIU must not mind.

load helpers
load checkpoint

# No volume below the bind while CRIU looks: it cannot dump a host submount of an external mount.
goes_on_and_is() {                                       # RUNTIME VIA PROPAGATION
    make_counting_bundle restored
    add_bind "$ROOT" rbind,rprivate
    checkpoint_container "$2" "$1"
    migrate
    restore_container "$2" "$1"
    assert_goes_on "$1"
    assert_equal "propagation" "$(propagation_in_container "$1" /host)" "$3"
}

test_with_each_runtime "restored without the guard, the bind is private" goes_on_and_is bare private
test_with_each_runtime "restored through the guard, the bind is a slave and the process goes on" goes_on_and_is guard slave
