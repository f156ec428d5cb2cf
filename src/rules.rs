//! The rules: each looks at one known defect of the stack and returns steps; none of them edits anything. A new rule is one new file, one name
//! and one line in [`plan`].

mod checkpointable_mounts;
mod may_detach_mounts;
mod restore_dialect;
mod restore_mountpoints;
mod slave_protected_binds;

pub use restore_dialect::work_directory_step;
pub use restore_mountpoints::mountpoint_step;

use crate::config::{Config, OnError};
use crate::host::HostView;
use crate::invocation::{Command, Flavour};
use crate::plan::{Plan, Step};
use crate::prepare::Call;
use crate::spec::Spec;

/// Names of all rules, each the result it promises.
pub const NAMES: [&str; 5] =
    [slave_protected_binds::NAME, may_detach_mounts::NAME, checkpointable_mounts::NAME, restore_mountpoints::NAME, restore_dialect::NAME];

/// `on_error` of the rules that do not follow the general one unless told so. What was promised for a restore and cannot be done is said before
/// CRIU fails on it with less to say.
pub const OWN_ON_ERROR: [(&str, OnError); 1] = [(restore_mountpoints::NAME, OnError::Fail)];

/// Everything a rule may look at.
pub struct Facts<'a> {
    pub command: Command,
    pub flavour: Flavour,
    pub config: &'a Config,
    pub spec: &'a Spec<'a>,
    /// Words of argv that the runtime would refuse without need.
    pub foreign_words: &'a [String],
    pub host: &'a HostView,
}

impl<'a> Facts<'a> {
    #[must_use]
    pub fn of(call: &'a Call, config: &'a Config, spec: &'a Spec<'a>, host: &'a HostView) -> Facts<'a> {
        Facts { command: call.command, flavour: call.flavour, config, spec, foreign_words: &call.foreign_words, host }
    }

    fn is_restore(&self) -> bool {
        self.command == Command::Restore
    }
}

type Rule = fn(&Facts<'_>) -> Vec<Step>;

/// The steps of every rule that is switched on for this container.
#[must_use]
pub fn plan(facts: &Facts<'_>) -> Plan {
    let rules: [Rule; NAMES.len()] =
        [slave_protected_binds::steps, may_detach_mounts::steps, checkpointable_mounts::steps, restore_mountpoints::steps, restore_dialect::steps];
    let wanted = |name: &str| facts.config.rule(name).enabled && !opted_out(name, facts.config, facts.spec);
    let steps = NAMES.iter().zip(rules).filter(|(name, _)| wanted(name)).flat_map(|(_, rule)| rule(facts));
    Plan { steps: steps.collect() }
}

/// A container may switch a rule off by its annotation `runc-guard/RULE`, if the settings allow that for the rule.
#[must_use]
pub fn opted_out(rule: &str, config: &Config, spec: &Spec<'_>) -> bool {
    config.allow_opt_out.iter().any(|allowed| allowed == rule) && spec.annotation(&format!("runc-guard/{rule}")).as_deref() == Some("off")
}
