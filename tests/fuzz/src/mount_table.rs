//! A mount table read slowly: proc_pid_mountinfo(5), field by field.

/// Everything one line says that the program asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub id: u32,
    pub parent: u32,
    pub device: (u32, u32),
    pub root: Vec<u8>,
    pub mountpoint: Vec<u8>,
    pub read_only: bool,
    pub shared: Option<u32>,
    pub master: Option<u32>,
    pub unbindable: bool,
    pub fs_type: Vec<u8>,
    pub source: Vec<u8>,
}

/// `None`: no mountinfo.
#[must_use]
pub fn row(line: &[u8]) -> Option<Row> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<u32>().ok());
    let dash = fields.iter().skip(6).position(|field| *field == b"-")? + 6;
    let colon = fields[2].iter().position(|byte| *byte == b':')?;
    let tags = &fields[6..dash];
    let group = |name: &str| tags.iter().find_map(|tag| number(tag.strip_prefix(name.as_bytes())?));
    Some(Row {
        id: number(fields[0])?,
        parent: number(fields[1])?,
        device: (number(&fields[2][..colon])?, number(&fields[2][colon + 1..])?),
        root: unescaped(fields[3]),
        mountpoint: unescaped(fields[4]),
        read_only: fields[5].split(|byte| *byte == b',').any(|word| word == b"ro"),
        shared: group("shared:"),
        master: group("master:"),
        unbindable: tags.contains(&b"unbindable".as_slice()),
        fs_type: unescaped(fields.get(dash + 1)?),
        source: unescaped(fields.get(dash + 2).copied().unwrap_or_default()),
    })
}

/// As `mangle` of the kernel writes a path into the table.
#[must_use]
pub fn escaped(path: &[u8]) -> Vec<u8> {
    path.iter().flat_map(|byte| if b" \t\n\\".contains(byte) { format!("\\{byte:03o}").into_bytes() } else { vec![*byte] }).collect()
}

fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut at = 0;
    while at < field.len() {
        let code = field.get(at + 1..at + 4).and_then(|digits| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        let is_code = field[at] == b'\\' && field.get(at + 1).is_some_and(u8::is_ascii_digit);
        match code.filter(|_| is_code) {
            Some(code) => {
                bytes.push(code.to_le_bytes()[0]);
                at += 4;
            }
            None => {
                bytes.push(field[at]);
                at += 1;
            }
        }
    }
    bytes
}

/// Whether `path` is `directory` or below, name by name.
#[must_use]
pub fn is_in(path: &[u8], directory: &[u8]) -> bool {
    directory == b"/" && path.starts_with(b"/") || path == directory || path.starts_with(&[directory, b"/"].concat())
}
