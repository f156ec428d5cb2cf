//! The rules: each looks at one known defect of the stack and returns steps; none of them edits anything. A new rule is one new file, one name
//! and one line in [`plan`].

mod may_detach_mounts;
mod slave_protected_binds;

use crate::config::Config;
use crate::host::HostView;
use crate::invocation::{Command, Flavour};
use crate::plan::{Plan, Step};
use crate::spec::{NotUnderstood, Spec};

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

type Rule = fn(&Facts<'_>) -> Result<Vec<Step>, NotUnderstood>;

/// The steps of every rule that is switched on for this container.
///
/// # Errors
/// A rule needs a member of `config.json` that cannot be read in one way only.
pub fn plan(facts: &Facts<'_>) -> Result<Plan, NotUnderstood> {
    let rules: [Rule; NAMES.len()] = [slave_protected_binds::steps, may_detach_mounts::steps];
    let mut plan = Plan::default();
    for (name, rule) in NAMES.iter().zip(rules) {
        if facts.config.rule(name).enabled && !opted_out(name, facts.config, facts.spec) {
            plan.steps.extend(rule(facts)?);
        }
    }
    Ok(plan)
}

/// A container may switch a rule off by its annotation `runc-guard/RULE`, if the settings allow that for the rule.
#[must_use]
pub fn opted_out(rule: &str, config: &Config, spec: &Spec<'_>) -> bool {
    config.allow_opt_out.iter().any(|allowed| allowed == rule) && spec.annotation(&format!("runc-guard/{rule}")).as_deref() == Some("off")
}
