use super::*;
use crate::invocation;
use crate::kernel::staging;
use crate::plan::{Action, Step};
use crate::rules::{self, Facts};
use libc::c_long;

/// What rule `slave-protected-binds` says of a bind of `source`, in a thread in which `refused` calls answer EIO.
fn steps_with(refused: &'static [c_long], settings: &'static str) -> Vec<Step> {
    let directory = tempfile::tempdir().unwrap();
    let bundle = directory.path().to_owned();
    let work = move || {
        let mut settings_read = crate::config::Settings::default();
        settings_read.absorb(Path::new("test"), settings);
        let config = settings_read.config;
        let document = format!(
            r#"{{"mounts":[{{"destination":"/host","type":"bind","source":"{}","options":["rbind","rprivate"]}}],"linux":{{}}}}"#,
            bundle.display()
        );
        let spec = Spec::parse(document.as_bytes()).unwrap();
        let argv: [&[u8]; 5] = [b"runc", b"create", b"--bundle", b"/nowhere", b"x"];
        let call = Call::of(&invocation::parse(Flavour::Runc, &argv).unwrap(), Flavour::Runc, &argv);
        if !refused.is_empty() {
            staging::refuse(refused, Errno::EIO);
        }
        let host = look(&call, &config, &spec);
        rules::plan(&Facts::of(&call, &config, &spec, &host)).steps
    };
    std::thread::spawn(work).join().unwrap()
}

const UNRELATED: &str = r#"protected_roots = ["/var/lib/nobody-has-this"]"#;

#[test]
fn a_source_that_cannot_be_looked_at_is_told_and_not_passed_over() {
    let calm = steps_with(&[], UNRELATED);
    assert!(calm.iter().all(|step| step.action == Action::Keep), "the control: {calm:?}");
    for (refused, verb) in [
        (&[libc::SYS_statx, libc::SYS_newfstatat, libc::SYS_fstat][..], "look at"),
        (&[libc::SYS_readlinkat, libc::SYS_readlink], "resolve"),
        // Nothing but the mount table can tell whether it is another mount of a root's files.
        (&[libc::SYS_openat], "read /proc/self/mountinfo"),
    ] {
        let told = steps_with(refused, UNRELATED);
        let notice = told.iter().find(|step| step.action == Action::Notice).unwrap_or_else(|| panic!("{verb}: {told:?}"));
        assert!(notice.why.starts_with(&format!("mount /host: {verb}")) && notice.why.contains(": EIO; "), "{}", notice.why);
    }
}

#[test]
fn where_errors_are_to_fail_it_is_refused() {
    let told = steps_with(&[libc::SYS_readlinkat, libc::SYS_readlink], r#"on_error = "fail""#);
    assert_eq!(told.iter().filter(|step| step.action == Action::Refuse).count(), 1, "{told:?}");
}

#[test]
fn a_root_that_is_there_and_cannot_be_resolved_counts_by_its_text() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("loop");
    std::os::unix::fs::symlink("loop", &path).unwrap();
    let config = Config { protected_roots: vec![path.clone(), directory.path().join("gone")], default_roots: true, ..Config::default() };
    let found: Vec<PathBuf> = protected_roots(&config, Path::new("/")).into_iter().map(|root| root.path).collect();
    assert_eq!(found, [path]);
}
