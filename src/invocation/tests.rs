use super::*;

fn words(line: &str) -> Vec<&[u8]> {
    std::iter::once("runc-guard")
        .chain(line.split(' ').filter(|word| !word.is_empty()))
        .map(|word| if word == "''" { b"" } else { word.as_bytes() })
        .collect()
}

/// `COMMAND ID BUNDLE [CONFIG]` of what is prepared, or `-` for what passes through.
fn read(flavour: Flavour, line: &str) -> String {
    let argv = words(line);
    let Some(call) = parse(flavour, &argv) else { return "-".to_owned() };
    let show = |path: Option<&OsStr>| path.map_or_else(|| ".".to_owned(), |path| path.to_string_lossy().into_owned());
    let config = call.config_file.map(|file| format!(" {}", file.to_string_lossy())).unwrap_or_default();
    format!("{} {} {}{config}", call.command.name(), call.id.to_string_lossy(), show(call.bundle))
}

/// A command line, and what runc, crun and youki make of it (engines.md, section 8.1, and the runtimes' sources).
const SPELLINGS: &[(&str, &str, &str, &str)] = &[
    ("create x", "create x .", "create x .", "create x ."),
    ("create --bundle B x", "create x B", "create x B", "create x B"),
    ("create --bundle=B x", "create x B", "create x B", "create x B"),
    ("create -b B x", "create x B", "create x B", "create x B"),
    ("create -bundle B x", "create x B", "-", "-"),
    ("create -bundle=B x", "create x B", "create x undle=B", "create x undle=B"),
    ("create -b=B x", "create x B", "create x =B", "create x B"),
    ("create -bB x", "-", "create x B", "create x B"),
    ("create --b B x", "create x B", "create x B", "-"),
    ("create --bun B x", "-", "create x B", "-"),
    ("create --no x", "-", "-", "-"),
    ("create x --bundle B", "create x B", "-", "create x B"),
    ("create --bundle B -- x", "create x B", "create x B", "create x B"),
    ("create -- x --bundle B", "-", "-", "-"),
    ("-- create --bundle B x", "create x B", "create x B", "-"),
    ("create --no-pivot=true -b B x", "create x B", "-", "-"),
    ("create --bundle A --bundle B x", "create x B", "create x B", "-"),
    ("create --bundle A -b B x", "-", "create x B", "-"),
    ("create --bundle '' x", "create x .", "-", "-"),
    ("create --bundle", "-", "-", "-"),
    ("create --bundle B", "-", "-", "-"),
    ("create x y", "-", "-", "-"),
    ("create --root R x", "-", "-", "-"),
    ("create --unknown x", "-", "-", "-"),
    ("create --help x", "-", "-", "-"),
    ("create -h x", "-", "-", "-"),
    ("create x --help", "-", "-", "-"),
    ("create -? x", "-", "-", "-"),
    ("create --usage x", "-", "-", "-"),
    ("create ---bundle B x", "-", "-", "-"),
    // Three dashes make a known option while runc sorts, and the value of another one when it reads.
    ("create --pid-file ---bundle x -b=B", "-", "-", "-"),
    ("create - x", "-", "-", "-"),
    ("create -", "create - .", "create - .", "create - ."),
    ("CREATE x", "-", "-", "-"),
    ("creat x", "-", "-", "-"),
    ("--version create x", "-", "-", "-"),
    ("-v create x", "-", "-", "-"),
    ("--root create state x", "-", "-", "-"),
    ("--root create create x", "create x .", "create x .", "create x ."),
    ("--log create --log-format json create -b B x", "create x B", "create x B", "create x B"),
    ("--log-format=json --log L create -b B x", "create x B", "create x B", "create x B"),
    ("--log L", "-", "-", "-"),
    ("--log", "-", "-", "-"),
    ("", "-", "-", "-"),
    ("--debug --systemd-cgroup run -d -b B x", "run x B", "run x B", "run x B"),
    ("--systemd-cgroup=true create x", "create x .", "-", "-"),
    ("--criu C create x", "create x .", "-", "-"),
    ("--cgroup-manager disabled create x", "-", "create x .", "-"),
    ("--cgroup-m disabled create x", "-", "create x .", "-"),
    ("run -db B x", "-", "run x B", "-"),
    ("run --keep --no-subreaper x", "run x .", "run x .", "run x ."),
    ("run --keep --no-subreaper -- x", "run x .", "run x .", "run x ."),
    ("create --keep -- x", "-", "-", "-"),
    ("create -f F -b B x", "-", "create x B F", "-"),
    ("create --config=/c/F x", "-", "create x . /c/F", "-"),
    ("create --config config.json -b B x", "-", "create x B", "-"),
    ("create --pidfd-socket S x", "create x .", "-", "-"),
    ("create --pid-file -b --bundle=B x", "create x B", "create x B", "-"),
    ("create --pid-file --bundle x", "create x .", "create x .", "-"),
    // urfave/cli takes the word after any option written without `=` for its value, so this bundle is a third operand.
    ("create --no-pivot x --bundle B", "-", "-", "create x B"),
    ("create --no-pivot --bundle B x", "create x B", "create x B", "create x B"),
    ("exec x sh -c create", "-", "-", "-"),
    ("state create", "-", "-", "-"),
    ("delete --force create", "-", "-", "-"),
    ("features", "-", "-", "-"),
    ("checkpoint --help", "-", "-", "-"),
    ("restore --lsm-mount-context", "-", "-", "-"),
    ("restore --image-path I --work-path W --detach --pid-file P -no-subreaper --bundle B x", "restore x B", "restore x B", "restore x ."),
    ("restore --bundle B --pid-file P --detach --image-path I --work-path B --tcp-established x", "restore x B", "restore x B", "restore x ."),
    ("restore -b B x y", "-", "restore x B", "restore y ."),
    ("restore x", "restore x .", "restore x .", "restore x ."),
    ("restore -no-subreaper -- x", "restore x .", "restore x .", "restore x ."),
    ("restore ---no-subreaper x", "-", "-", "restore x ."),
    ("restore x -no-subreaper", "restore x .", "restore x .", "-"),
    ("restore x --help", "-", "restore x .", "-"),
];

#[test]
fn every_spelling_is_read_as_the_runtime_reads_it() {
    for (line, runc, crun, youki) in SPELLINGS {
        assert_eq!(read(Flavour::Runc, line), *runc, "runc {line}");
        assert_eq!(read(Flavour::Crun, line), *crun, "crun {line}");
        assert_eq!(read(Flavour::Youki, line), *youki, "youki {line}");
        assert_eq!(read(Flavour::Unknown, line), "-", "unknown {line}");
    }
}

#[test]
fn a_restore_says_where_its_image_is() {
    let image = |flavour, line: &str| {
        let call = parse(flavour, &words(line)).unwrap();
        let shown = |path: PathBuf| path.display().to_string();
        (shown(call.image_directory(flavour)), call.work_directory(flavour).map(shown))
    };
    let at = |image: &str, work: Option<&str>| (image.to_owned(), work.map(str::to_owned));
    assert_eq!(image(Flavour::Runc, "restore --bundle B --image-path I --work-path W x"), at("I", Some("W")));
    assert_eq!(image(Flavour::Crun, "restore --bundle B --image-path I --work-path W x"), at("B/I", Some("B/W")));
    assert_eq!(image(Flavour::Crun, "restore --bundle B --image-path /I --work-path /W x"), at("/I", Some("/W")));
    assert_eq!(image(Flavour::Runc, "restore --bundle B x"), at("checkpoint", None));
    assert_eq!(image(Flavour::Crun, "restore --bundle B x"), at("B/checkpoint", None));
    assert_eq!(image(Flavour::Crun, "restore x"), at("checkpoint", None));
}

#[test]
fn foreign_words_are_those_that_stand_as_options() {
    let foreign = |flavour, line: &str| parse(flavour, &words(line)).unwrap().foreign_words;
    assert_eq!(foreign(Flavour::Crun, "--log L restore --detach -no-subreaper --bundle B x"), [5]);
    assert_eq!(foreign(Flavour::Crun, "restore -no-subreaper -no-subreaper x"), [2, 3]);
    assert_eq!(foreign(Flavour::Crun, "restore --work-path -no-subreaper x"), [] as [usize; 0], "a value");
    assert_eq!(foreign(Flavour::Crun, "restore x -no-subreaper"), [] as [usize; 0], "an operand");
    assert_eq!(foreign(Flavour::Runc, "restore -no-subreaper x"), [] as [usize; 0], "its own option");
    assert!(parse(Flavour::Crun, &words("create -no-subreaper x")).is_none(), "of restore only");
}

#[test]
fn the_flavour_comes_from_the_file_name() {
    let of = |name: &str| Flavour::of_file_name(OsStr::new(name));
    assert_eq!(of("runc"), Flavour::Runc);
    assert_eq!(of("runc.real"), Flavour::Runc);
    assert_eq!(of("crun-1.28"), Flavour::Crun);
    assert_eq!(of("youki_musl"), Flavour::Youki);
    for unknown in ["krun", "runc2", "runcx", "my-runc", "RUNC", "nvidia-container-runtime", ""] {
        assert_eq!(of(unknown), Flavour::Unknown, "{unknown}");
    }
}

#[test]
fn the_log_target_is_read_for_every_command() {
    let target = |flavour, line: &str| {
        let argv = words(line);
        let target = log_target(flavour, &argv);
        (target.path.map(|path| path.to_string_lossy().into_owned()), target.json)
    };
    let at = |path: &str, json| (Some(path.to_owned()), json);
    for flavour in [Flavour::Runc, Flavour::Crun, Flavour::Youki, Flavour::Unknown] {
        assert_eq!(target(flavour, "--log L --log-format json state x"), at("L", true));
        assert_eq!(target(flavour, "--log-format=json --log=L create x --bad"), at("L", true));
        assert_eq!(target(flavour, "--log L state x"), at("L", false));
        assert_eq!(target(flavour, "--log L --log-format json --new-option x create y"), at("L", true));
        assert_eq!(target(flavour, "state x --log L"), (None, false));
        assert_eq!(target(flavour, "--log"), (None, false));
        assert_eq!(target(flavour, ""), (None, false));
    }
    assert_eq!(target(Flavour::Runc, "-log L -log-format=text state x"), at("L", false));
    assert_eq!(log_target(Flavour::Runc, &[]), LogTarget::default());
}
