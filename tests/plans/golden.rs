//! The plan for every recorded config.json of every engine, as `guard plan` prints it. A change of a rule shows here as a diff.

use crate::{plan, recorded_configs};
use runc_guard::config::{Config, Policy};
use runc_guard::guard;
use runc_guard::invocation::Flavour;
use std::fmt::Write;

fn printed(flavour: Flavour, policy: Policy) -> String {
    let mut config = Config { policy, ..Config::default() };
    // The policy is about pins; destinations are spelt as the kernel sees them under each.
    config.rules[2].enabled = policy != Policy::Warn;
    let mut printed = String::new();
    for (name, text) in recorded_configs() {
        let plan = plan(&text, flavour, &config);
        writeln!(printed, "{}", guard::plan::text(&plan, flavour, &name).unwrap()).unwrap();
    }
    printed
}

#[test]
fn plans_in_front_of_runc() {
    insta::assert_snapshot!("runc", printed(Flavour::Runc, Policy::Rewrite));
}

#[test]
fn plans_in_front_of_crun() {
    insta::assert_snapshot!("crun", printed(Flavour::Crun, Policy::Rewrite));
}

#[test]
fn plans_in_front_of_youki() {
    insta::assert_snapshot!("youki", printed(Flavour::Youki, Policy::Rewrite));
}

#[test]
fn plans_that_reject() {
    insta::assert_snapshot!("runc_reject", printed(Flavour::Runc, Policy::Reject));
}

#[test]
fn plans_that_only_warn() {
    let printed = printed(Flavour::Crun, Policy::Warn);
    assert!(!printed.contains("would be changed") && !printed.contains("refuse"), "policy warn changes nothing");
    insta::assert_snapshot!("crun_warn", printed);
}
