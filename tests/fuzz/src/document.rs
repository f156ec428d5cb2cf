//! config.json documents composed of what matters: words, paths, white space, escapes, case variants and doubles, mostly sound.

use arbitrary::{Result, Unstructured};

const SPACES: &[&str] = &["", "", " ", "\n\t", "\r\n  "];
const OPTIONS: &[&str] = &[
    "rbind",
    "rbind",
    "rbind",
    "bind",
    "ro",
    "rro",
    "rw",
    "nosuid",
    "private",
    "rprivate",
    "rprivate",
    "slave",
    "rslave",
    "shared",
    "rshared",
    "unbindable",
    "runbindable",
    "RPRIVATE",
    "src-nofollow",
    "dest-nofollow",
    "copy-symlink",
    "idmap",
    "x=\\\"",
    "",
];
const SOURCES: &[&str] = &[
    "/",
    "/var/lib/kubelet",
    "/var/lib/kubelet/pods/p/v",
    "/var/lib/kubelet/file",
    "/var/lib",
    "/var/lib/kubelet2",
    "/var//lib/./kubelet/",
    "/lnk",
    "/lnk/pods/../x",
    "/alias/pods",
    "/alias-not",
    "/run/containerd/",
    "/srv/a b/c",
    "relative/dir",
    "/data",
    "..",
    "",
    "tmpfs",
    "/\\u00e9",
];
const DESTINATIONS: &[&str] =
    &["/host", "/var/run/secrets", "/run/secrets/x", "/run", "/host/var/../run", "/host/", "host", "/proc", "", "/d\\n\\\"q", "/", "/host/var/lib"];
const PROPAGATIONS: &[&str] = &["private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable", "runbindable", "", "Private"];
const DATA: &[&str] =
    &["null", "{}", "[]", "[{\"mounts\":18446744073709551615}]", "1e400", "-0.0", "\"\\ud83d\\ude00\"", "{\"linux\":{},\"Linux\":[[]]}", "true"];

struct Composer<'u, 'd> {
    choices: &'u mut Unstructured<'d>,
    text: String,
    space: &'static str,
    /// How many oddities it may still have: a document with many is turned away for the first, and nothing is learnt of the others.
    oddities: u8,
}

/// # Errors
/// Never: what the bytes do not say is the first of each choice.
pub fn compose(choices: &mut Unstructured<'_>) -> Result<String> {
    let space = *choices.choose(SPACES)?;
    let oddities = choices.int_in_range(0..=7_u8)?.saturating_sub(5);
    let mut composer = Composer { choices, text: space.to_owned(), space, oddities };
    composer.object(&[
        ("ociVersion", data),
        ("mounts", mounts),
        ("linux", linux),
        ("root", root),
        ("annotations", annotations),
        ("process", data),
    ])?;
    if composer.is_odd(16)? {
        let tail = *composer.choices.choose(&["{}", "x", " ", "\u{feff}"])?;
        composer.text.push_str(tail);
    }
    Ok(composer.text)
}

type Part = fn(&mut Composer<'_, '_>) -> Result<()>;

impl Composer<'_, '_> {
    fn push(&mut self, part: &str) {
        self.text.push_str(part);
        self.text.push_str(self.space);
    }

    fn is_odd(&mut self, one_in: u8) -> Result<bool> {
        let is_odd = self.oddities > 0 && self.choices.ratio(1, one_in)?;
        self.oddities -= u8::from(is_odd);
        Ok(is_odd)
    }

    /// Members in any order; rarely one is missing, doubled, or spelt otherwise.
    fn object(&mut self, members: &[(&str, Part)]) -> Result<()> {
        self.push("{");
        let first = self.choices.choose_index(members.len())?;
        let mut separator = "";
        for (name, part) in members.iter().cycle().skip(first).take(members.len()) {
            let times = match self.choices.int_in_range(0..=15_u8)? {
                0 if self.is_odd(2)? => 2,
                14.. => 0,
                _ => 1,
            };
            for _ in 0..times {
                self.push(separator);
                separator = ",";
                self.name(name)?;
                self.push(":");
                part(self)?;
            }
        }
        self.push("}");
        Ok(())
    }

    fn name(&mut self, name: &str) -> Result<()> {
        let first = name.chars().next().unwrap_or('x');
        let spelt = match (self.is_odd(12)?, self.choices.int_in_range(0..=15_u8)?) {
            (true, 0..=3) => name.to_uppercase(),
            (true, 4..=6) => name.replace('s', "\u{17f}"),
            (true, 7..=9) => name.replace('s', "\\u017F"),
            (true, 10..=12) => format!("{name}\\u0000x"),
            (true, _) => format!("x{name}"),
            (false, 15) => format!("\\u{:04x}{}", u32::from(first), &name[first.len_utf8()..]),
            (false, _) => name.to_owned(),
        };
        self.push(&format!("\"{spelt}\""));
        Ok(())
    }

    fn list(&mut self, most: usize, part: Part) -> Result<()> {
        self.push("[");
        for index in 0..self.choices.int_in_range(0..=most)? {
            if index > 0 {
                self.push(",");
            }
            part(self)?;
        }
        self.push("]");
        Ok(())
    }

    /// One of `texts`, seldom with its first letter escaped, and now and then something else altogether.
    fn one_of(&mut self, texts: &[&str]) -> Result<()> {
        let text = *self.choices.choose(texts)?;
        let first = text.chars().next().filter(char::is_ascii_alphanumeric);
        let value = match (self.choices.int_in_range(0..=15_u8)?, first) {
            (0, _) if self.is_odd(4)? => (*self.choices.choose(DATA)?).to_owned(),
            (15, Some(first)) => format!("\"\\u{:04X}{}\"", u32::from(first), &text[1..]),
            _ => format!("\"{text}\""),
        };
        self.push(&value);
        Ok(())
    }
}

fn data(composer: &mut Composer<'_, '_>) -> Result<()> {
    let value = *composer.choices.choose(DATA)?;
    composer.push(value);
    Ok(())
}

fn mounts(composer: &mut Composer<'_, '_>) -> Result<()> {
    composer.list(5, |composer| {
        composer.object(&[
            ("destination", |composer| composer.one_of(DESTINATIONS)),
            ("source", |composer| composer.one_of(SOURCES)),
            ("options", |composer| composer.list(6, |composer| composer.one_of(OPTIONS))),
            ("type", |composer| composer.one_of(&["bind", "tmpfs", "proc"])),
            ("uidMappings", data),
        ])
    })
}

fn linux(composer: &mut Composer<'_, '_>) -> Result<()> {
    composer.object(&[
        ("namespaces", data),
        ("rootfsPropagation", |composer| composer.one_of(PROPAGATIONS)),
        ("maskedPaths", |composer| composer.list(3, |composer| composer.one_of(&["/proc/keys", "/run/crun/.empty-directory"]))),
    ])
}

fn root(composer: &mut Composer<'_, '_>) -> Result<()> {
    composer.object(&[("path", |composer| composer.one_of(&["rootfs", "/r"])), ("readonly", data)])
}

fn annotations(composer: &mut Composer<'_, '_>) -> Result<()> {
    composer.object(&[
        ("runc-guard/slave-protected-binds", |composer| composer.one_of(&["off", "on"])),
        ("runc-guard/checkpointable-mounts", |composer| composer.one_of(&["off", "on"])),
        ("other", |composer| composer.one_of(&["x", "\\u0000", "\\ud800"])),
    ])
}
