//! runc-guard: an OCI runtime front-end that repairs a bundle where a known defect of the stack would bite, and then becomes the real runtime.
//!
//! ```text
//! argv ──► Invocation ──► not ours ─────────────────────────────────────────► exec
//!              │
//!              └► create | run | restore:  Config + Spec + HostView ──► Plan ──► apply ──► exec
//!                                           (read)                      (pure)   (write)
//! ```
//!
//! Pure: [`invocation`] argv by the runtime's grammar · [`config`] settings · [`spec`] config.json and its edits · [`propagation`] the decision
//! table · [`mountinfo`] · [`paths`] · [`plan`] · [`rules`]. Reading: [`settings_files`], [`host`], [`bundle`]. Writing: [`apply`], [`bundle`], [`sysctl`],
//! [`notices`], [`report`]. Becoming: [`runtime`], [`kernel`]. In order: [`prepare`]. The operator's commands: [`guard`].
#![deny(unsafe_code)]

pub mod apply;
pub mod audit;
pub mod bundle;
pub mod config;
pub mod container_path;
pub mod copies;
pub mod criu_image;
pub mod deadline;
pub mod guard;
pub mod host;
pub mod image_files;
pub mod in_namespace;
pub mod invocation;
#[allow(unsafe_code)]
pub mod kernel;
pub mod mountinfo;
pub mod mountpoint;
pub mod namespaces;
pub mod notices;
pub mod open_files;
pub mod paths;
pub mod plan;
pub mod prepare;
pub mod propagation;
pub mod report;
pub mod restored_mounts;
pub mod rules;
pub mod runtime;
pub mod settings_files;
pub mod spec;
pub mod sysctl;
pub mod workload;

use invocation::{Flavour, LogTarget};
use kernel::RawArgs;
use prepare::Call;
use report::Failure;
use std::ffi::c_int;

/// Runs the whole program. Returns, with the exit status, only for the operator's commands and on failure.
pub fn run(args: RawArgs) -> c_int {
    kernel::hold_closed_stdio();
    if kernel::is_privileged_start() {
        let why = "refuse to run with more rights than the caller has: EPERM; remove the setuid or setgid bit or the file capabilities";
        // Not to the caller's --log: that file would be written with the very rights that are refused.
        report::tell(&Failure::new(why), LogTarget::default());
        return 1;
    }
    let argv = args.bytes();
    if argv.get(1) == Some(&b"guard".as_slice()) {
        return guard::run(&argv);
    }
    let (failure, flavour) = become_runtime(args, &argv);
    report::tell(&failure, invocation::log_target(flavour, &argv));
    1
}

/// Prepares what is ours and becomes the runtime. What comes back is why that failed, and whose options the caller used.
fn become_runtime(args: RawArgs, argv: &[&[u8]]) -> (Failure, Flavour) {
    let settings = settings_files::read();
    let runtime = match runtime::find(&settings.config) {
        Ok(runtime) => runtime,
        Err(failure) => {
            // Settings that could not be read may have named one.
            let failure = settings.problems.first().map_or(failure.clone(), |problem| failure.with_cause(&problem.to_string()));
            return (failure, settings.config.flavour.unwrap_or(Flavour::Unknown));
        }
    };
    let mut passed_on = args;
    let prepared = match invocation::parse(runtime.flavour, argv) {
        Some(invocation) => {
            report::tell_panics(invocation::log_target(runtime.flavour, argv));
            let call = Call::of(&invocation, runtime.flavour, argv);
            if settings.config.rule("restore-dialect").enabled && !call.foreign_words.is_empty() {
                passed_on = args.without(&invocation.foreign_words);
            }
            prepare::prepare(&settings, &runtime, &call, &invocation.id.to_string_lossy())
        }
        None => Ok(()),
    };
    let failure = prepared.err().unwrap_or_else(|| runtime.exec(passed_on));
    (failure, runtime.flavour)
}
