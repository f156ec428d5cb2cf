use super::*;

fn settings(text: &str) -> Settings {
    let mut settings = Settings::default();
    settings.absorb(Path::new("/etc/x.toml"), text);
    settings
}

#[test]
fn the_example_holds_every_key_with_its_default() {
    let example = include_str!("../../config.example.toml");
    let read = settings(example);
    assert_eq!(read.problems, []);
    let defaults = Config::default();
    for setting in SETTINGS {
        assert_eq!((setting.show)(&read.config), (setting.show)(&defaults), "{}", setting.key);
        let set = read.origins.iter().filter(|origin| origin.key == setting.key).count();
        assert_eq!(set, 1, "{} stands once in config.example.toml", setting.key);
        for line in setting.help {
            assert!(example.contains(line), "config.example.toml says of {}: {line}", setting.key);
        }
    }
}

#[test]
fn what_is_shown_can_be_read_back() {
    let text = "runtimes = ['/opt/\"x\\', 'crun']\nflavour = 'crun'\nprotected_roots = ['/a b']\nlog = ''\npolicy = 'warn'\nallow_opt_out = ['may-detach-mounts']";
    let first = settings(text);
    assert_eq!(first.problems, []);
    let shown: Vec<String> = SETTINGS.iter().map(|setting| format!("{} = {}", setting.key, (setting.show)(&first.config))).collect();
    let again = settings(&shown.join("\n"));
    assert_eq!(again.problems, []);
    for setting in SETTINGS {
        assert_eq!((setting.show)(&again.config), (setting.show)(&first.config));
    }
}

#[test]
fn a_problem_names_file_line_and_key() {
    let cases = [
        ("\npolcy = 'warn'", "read settings /etc/x.toml, line 2: unknown key polcy;"),
        ("policy = 'allow'", "read settings /etc/x.toml, line 1: bad value of policy: unknown variant `allow`"),
        ("strict = 1", "line 1: bad value of strict: invalid type: integer `1`"),
        ("runtimes = []", "bad value of runtimes: a list of names"),
        ("runtimes = ['./runc']", "bad value of runtimes: a list of names or absolute paths"),
        ("protected_roots = ['var']", "bad value of protected_roots: \"var\" is not an absolute path"),
        ("log = 'x.log'", "bad value of log: an absolute path"),
        ("allow_opt_out = ['all']", "bad value of allow_opt_out: there is no rule \"all\", only slave-protected-binds, may-detach-mounts"),
        ("[rules.slave-protected-binds]\nenable = true", "line 2: unknown key rules.slave-protected-binds.enable;"),
        ("[rules.other]\nenabled = true", "line 1: unknown key rules.other;"),
        ("rules = 1", "unknown key rules;"),
        ("flavour = 'unknown'", "bad value of flavour:"),
        ("strict = true\nstrict = false", "line 2: strict: duplicate key"),
        ("a = 1\npolicy = \n", "line 2: policy: "),
    ];
    for (text, expected) in cases {
        let problems: Vec<String> = settings(text).problems.iter().map(ToString::to_string).collect();
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{text:?}: {problems:?}");
        assert!(problems.iter().all(|problem| !problem.contains('\n')), "{problems:?}");
    }
}

#[test]
fn what_is_sound_in_a_damaged_file_still_counts() {
    for damage in ["polcy = 1\n", "[[[\n", "x = \n", "= 3\n", "strict = maybe\n"] {
        let read = settings(&format!("runtimes = ['/opt/crun']\n{damage}"));
        assert!(!read.problems.is_empty(), "{damage}");
        assert_eq!(read.config.runtimes, ["/opt/crun"], "{damage}");
    }
}

#[test]
fn no_number_of_problems_hides_the_runtime() {
    let many = (0..100).map(|number| format!("a{number} = 1")).collect::<Vec<_>>().join("\n");
    let read = settings(&format!("{many}\nflavour = 'youki'\nruntimes = ['/opt/crun']\n[rules.may-detach-mounts]\nenabled = false\n"));
    assert_eq!((read.config.runtimes, read.config.flavour), (vec!["/opt/crun".to_owned()], Some(Flavour::Youki)));
    assert_eq!(read.problems.len(), MOST_PROBLEMS);
}

#[test]
fn a_file_of_nothing_but_beginnings_holds_nobody_up() {
    let cpu = || nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
    let before = cpu();
    let read = settings(&"runtimes = [\n".repeat(20_000));
    assert!(!read.problems.is_empty());
    // 64 attempts for each line would take minutes.
    assert!((cpu() - before).tv_sec() < 10, "{:?}", cpu() - before);
}

#[test]
fn rules_have_their_own_settings() {
    let config = settings("on_error = 'fail'\n[rules.may-detach-mounts]\nenabled = false\non_error = 'pass'").config;
    assert_eq!(config.on_error_of("slave-protected-binds"), OnError::Fail);
    assert_eq!(config.on_error_of("may-detach-mounts"), OnError::Pass);
    assert!(config.rule("slave-protected-binds").enabled && !config.rule("may-detach-mounts").enabled);
    assert!(!config.rule("no-such-rule").enabled);
}
