//! The rules: each looks at one known defect of the stack and returns steps; none of them edits anything. A new rule is one new file, one name
//! and one line in [`plan`].

mod may_detach_mounts;
mod slave_protected_binds;

use crate::config::Config;
use crate::host::HostView;
use crate::invocation::{Command, Flavour};
use crate::plan::{Plan, Step};
use crate::spec::Spec;

/// Names of all rules, each the result it promises.
pub const NAMES: [&str; 2] = [slave_protected_binds::NAME, may_detach_mounts::NAME];

/// Everything a rule may look at.
pub struct Facts<'a> {
    pub command: Command,
    pub flavour: Flavour,
    pub config: &'a Config,
    pub spec: &'a Spec<'a>,
    pub host: &'a HostView,
}

type Rule = fn(&Facts<'_>) -> Vec<Step>;

/// The steps of every rule that is switched on for this container.
#[must_use]
pub fn plan(facts: &Facts<'_>) -> Plan {
    let rules: [Rule; NAMES.len()] = [slave_protected_binds::steps, may_detach_mounts::steps];
    let wanted = |name: &str| facts.config.rule(name).enabled && !opted_out(name, facts.config, facts.spec);
    let steps = NAMES.iter().zip(rules).filter(|(name, _)| wanted(name)).flat_map(|(_, rule)| rule(facts));
    Plan { steps: steps.collect() }
}

/// A container may switch a rule off by its annotation `runc-guard/RULE`, if the settings allow that for the rule.
#[must_use]
pub fn opted_out(rule: &str, config: &Config, spec: &Spec<'_>) -> bool {
    config.allow_opt_out.iter().any(|allowed| allowed == rule) && spec.annotation(&format!("runc-guard/{rule}")).as_deref() == Some("off")
}
