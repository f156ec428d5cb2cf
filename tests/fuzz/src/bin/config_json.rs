//! Any bytes as config.json, behind the bytes that choose the node.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runc_guard_fuzz::config_json;
use runc_guard_fuzz::node::{CHOICE_BYTES, Node};
use runc_guard_fuzz::reached::report_at_exit;

fuzz_target!(init: report_at_exit(config_json::PLACES), |data: &[u8]| {
    if let Some((choices, text)) = data.split_first_chunk::<CHOICE_BYTES>() {
        config_json::check(text, &Node::of(*choices));
    }
});
