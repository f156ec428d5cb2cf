//! Documents composed of the words, paths and spellings that matter: the bytes are the choices.
#![no_main]

use arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;
use runc_guard_fuzz::node::Node;
use runc_guard_fuzz::reached::report_at_exit;
use runc_guard_fuzz::{config_json, document};

fuzz_target!(init: report_at_exit(config_json::PLACES), |data: &[u8]| {
    let mut choices = Unstructured::new(data);
    let node = Node::of(choices.arbitrary().unwrap_or_default());
    let text = document::compose(&mut choices).expect("any bytes are choices");
    config_json::check(text.as_bytes(), &node);
});
