//! Paths as lists of names.

/// `..` and `.` taken out by text; absolute.
#[must_use]
pub fn names(path: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop();
            }
            name => names.push(name),
        }
    }
    names
}

#[must_use]
pub fn clean(path: &str) -> String {
    format!("/{}", names(path).join("/"))
}

/// Whether `path` is `directory` or below it; both clean.
#[must_use]
pub fn is_in(path: &str, directory: &str) -> bool {
    let (path, directory) = (names(path), names(directory));
    path.len() >= directory.len() && path[..directory.len()] == directory
}

/// `path` with `from` at its beginning replaced by `to`, as a symlink would.
#[must_use]
pub fn through(path: &str, from: &str, to: &str) -> String {
    if is_in(path, from) { clean(&format!("{to}/{}", names(path)[names(from).len()..].join("/"))) } else { path.to_owned() }
}
