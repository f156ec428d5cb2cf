use super::*;

const PRETTY: &str = "{\n\t\"mounts\": [\n\t\t{\n\t\t\t\"destination\": \"/h\",\n\t\t\t\"source\": \"/\",\n\t\t\t\"options\": [\n\t\t\t\t\"rbind\",\n\t\t\t\t\"ro\"\n\t\t\t]\n\t\t}\n\t],\n\t\"linux\": {\n\t\t\"namespaces\": []\n\t}\n}\n";

fn parse(text: &str) -> Result<Spec<'_>, NotUnderstood> {
    Spec::parse(text.as_bytes())
}

/// The document after its first mount has been given `word`.
fn with_propagation(text: &str, word: &str) -> String {
    let spec = parse(text).unwrap();
    splice(text, &spec.mounts[0].set_propagation(text, word)).concat()
}

fn with_options(options: &str) -> String {
    format!(r#"{{"mounts":[{{"destination":"/h","options":[{options}]}}]}}"#)
}

#[test]
fn the_one_word_is_replaced_in_place() {
    let cases = [
        (r#""rbind","rprivate","rw""#, r#""rbind","rslave","rw""#),
        (r#""rprivate", "rbind""#, r#""rslave", "rbind""#),
        (r#""rbind""#, r#""rbind","rslave""#),
        (r#""rbind" , "ro""#, r#""rbind" , "ro" , "rslave""#),
        (r#""rprivate","rbind","slave","shared""#, r#""rslave","rbind""#),
        (r#""rbind","private" ,"rprivate""#, r#""rbind","rslave""#),
        ("\"rbind\",\"r\\u0070rivate\"", r#""rbind","rslave""#),
    ];
    for (before, after) in cases {
        let text = with_options(before);
        assert_eq!(with_propagation(&text, "rslave"), with_options(after), "{before}");
        let spec = parse(&text).unwrap();
        let spliced = with_options(after);
        let words = parse(&spliced).unwrap().mounts[0].options.iter().map(|option| option.text.to_string()).collect::<Vec<_>>();
        assert_eq!(spec.mounts[0].options_with("rslave"), words, "what is announced is what is written: {before}");
    }
}

#[test]
fn white_space_of_an_indented_document_is_continued() {
    let after = with_propagation(PRETTY, "rslave");
    assert_eq!(after, PRETTY.replace("\"ro\"\n", "\"ro\",\n\t\t\t\t\"rslave\"\n"));
    let spec = parse(PRETTY).unwrap();
    let edit = spec.rootfs_propagation.unwrap().set(PRETTY, "rslave");
    let expected = PRETTY.replace("\"linux\": {\n", "\"linux\": {\n\t\t\"rootfsPropagation\": \"rslave\",\n");
    assert_eq!(splice(PRETTY, &[edit]).concat(), expected);
}

#[test]
fn rootfs_propagation_is_inserted_or_replaced() {
    let cases = [
        (r#"{"linux":{"\u0061":0, "b":1}}"#, r#"{"linux":{"\u0061":0, "rootfsPropagation": "rslave", "b":1}}"#),
        (r#"{"linux":{"a":1}}"#, r#"{"linux":{"rootfsPropagation":"rslave","a":1}}"#),
        (r#"{"linux":{"a":1,"rootfsPropagation":null}}"#, r#"{"linux":{"a":1,"rootfsPropagation":"rslave"}}"#),
        (r#"{"linux":{"rootfsPropagation" : "private"}}"#, r#"{"linux":{"rootfsPropagation" : "rslave"}}"#),
    ];
    for (before, after) in cases {
        let edit = parse(before).unwrap().rootfs_propagation.unwrap().set(before, "rslave");
        assert_eq!(splice(before, &[edit]).concat(), after);
        assert_eq!(parse(after).unwrap().rootfs_propagation.unwrap().value.as_deref(), Some("rslave"));
    }
    for without in ["{}", r#"{"linux":null}"#, r#"{"linux":{}}"#, r#"{"linux":{ }}"#] {
        assert_eq!(parse(without).unwrap().rootfs_propagation, None);
    }
}

#[test]
fn explicit_nulls_are_absent_members() {
    let spec = parse(r#"{"mounts":null,"root":null,"linux":null,"annotations":null}"#).unwrap();
    assert!(spec.mounts.is_empty());
    assert_eq!(spec.root_path, None);
    let spec = parse(r#"{"root":{"path":null},"mounts":[{"destination":"/a","source":null,"options":null,"type":null}]}"#).unwrap();
    assert_eq!((spec.root_path, spec.mounts[0].source.is_none(), spec.mounts[0].options.len()), (None, true, 0));
}

#[test]
fn what_runtimes_read_differently_is_not_understood() {
    let ambiguous = [
        "",
        "[]",
        "null",
        "{",
        "\u{feff}{}",
        "{} {}",
        "{}x",
        r#"{"mounts":[],"mounts":[]}"#,
        r#"{"Mounts":[]}"#,
        r#"{"mounts":[],"MOUNTS":[]}"#,
        "{\"mount\u{17f}\":[]}",
        r#"{"mounts":{}}"#,
        r#"{"mounts":[null]}"#,
        r#"{"mounts":[{"destination":"/a","destination":"/b"}]}"#,
        r#"{"mounts":[{"OPTIONS":["rbind"]}]}"#,
        r#"{"mounts":[{"Type":"bind"}]}"#,
        r#"{"mounts":[{"options":"rbind"}]}"#,
        r#"{"mounts":[{"options":[null]}]}"#,
        r#"{"mounts":[{"options":[1]}]}"#,
        r#"{"mounts":[{"source":7}]}"#,
        r#"{"mounts":[{"source":"\ud800"}]}"#,
        r#"{"LINUX":{}}"#,
        r#"{"root":{},"Root":{}}"#,
        r#"{"root":{"path":"a","PATH":"b"}}"#,
        r#"{"root":[]}"#,
        r#"{"linux":{"rootfspropagation":"private"}}"#,
        r#"{"linux":{"rootfsPropagation":1}}"#,
        r#"{"linux":7}"#,
    ];
    for text in ambiguous {
        assert!(parse(text).is_err(), "{text}");
    }
    assert!(Spec::parse(b"{\"a\":\"\xff\"}").is_err());
}

/// crun's strings end there.
#[test]
fn a_nul_in_a_name_or_text_that_matters_is_not_understood() {
    let ambiguous = [
        r#"{"mounts\u0000":[]}"#,
        r#"{"mounts":[],"root\u0000x":{"path":"a"}}"#,
        r#"{"mounts":[{"options\u0000":["rbind"]}]}"#,
        r#"{"mounts":[{"options":["rbind\u0000"]}]}"#,
        r#"{"mounts":[{"source":"/a\u0000b"}]}"#,
        r#"{"mounts":[{"type":"tmpfs\u0000"}]}"#,
        r#"{"root":{"path":"\u0000"}}"#,
    ];
    for text in ambiguous {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn depth_and_numbers_of_unknown_members_do_not_matter() {
    let deep = format!(r#"{{"x":{}{},"mounts":[]}}"#, "[".repeat(1_000_000), "]".repeat(1_000_000));
    assert!(parse(&deep).is_ok());
    assert!(parse(r#"{"a":18446744073709551615,"b":1e400,"c":-0.0,"process":{"mounts":1,"Mounts":2}}"#).is_ok());
}

#[test]
fn an_annotation_counts_only_when_it_is_clear() {
    let value = |annotations: &str| parse(&format!(r#"{{"annotations":{annotations}}}"#)).unwrap().annotation("k").map(Cow::into_owned);
    assert_eq!(value(r#"{"j":"1","k":"off"}"#).as_deref(), Some("off"));
    for unclear in [r#"{"k":"off","k":"off"}"#, r#"{"K":"off"}"#, r#"{"k":null}"#, r#"{"k":["off"]}"#, "null", "[]", r#""k""#] {
        assert_eq!(value(unclear), None, "{unclear}");
    }
}

#[test]
fn a_path_is_replaced_in_its_own_quotes() {
    let text = r#"{"mounts":[{"source" : "\u0061/b", "destination":"/x/"},{"type":"tmpfs"}]}"#;
    let spec = parse(text).unwrap();
    let edits = [spec.mounts[0].set_destination(text, "/x").unwrap(), spec.mounts[0].set_source(text, "/q\"\n").unwrap()];
    assert_eq!(splice(text, &edits).concat(), r#"{"mounts":[{"source" : "/q\"\n", "destination":"/x"},{"type":"tmpfs"}]}"#);
    assert!(spec.mounts[1].set_destination(text, "/x").is_none() && spec.mounts[1].set_source(text, "/x").is_none());
    assert_eq!((spec.mounts[0].kind(), spec.mounts[1].kind()), (Cow::from(""), Cow::from("tmpfs")));
}

#[test]
fn tmpfs_mounts_are_appended_behind_the_last_mount() {
    let appended = |text: &str| parse(text).unwrap().append_tmpfs_mounts(&["/a", "/\"b"]).map(|edit| splice(text, &[edit]).concat());
    let two = r#",{"destination":"/a","type":"tmpfs","source":"tmpfs"},{"destination":"/\"b","type":"tmpfs","source":"tmpfs"}"#;
    assert_eq!(appended(r#"{"mounts":[{}, { } ],"root":null}"#), Some(format!(r#"{{"mounts":[{{}}, {{ }}{two} ],"root":null}}"#)));
    assert_eq!(appended(r#"{"mounts":[]}"#), None);
    assert_eq!(appended(r#"{"mounts":null}"#), None);
    assert_eq!(appended("{}"), None);
}

#[test]
fn rootfs_propagation_finds_a_place_beside_members_that_are_read_for_a_restore() {
    for (before, after) in [
        (r#"{"linux":{"uidMappings":[]}}"#, r#"{"linux":{"rootfsPropagation":"rslave","uidMappings":[]}}"#),
        (r#"{"linux":{"maskedPaths":["/m"],"a":1}}"#, r#"{"linux":{"rootfsPropagation":"rslave","maskedPaths":["/m"],"a":1}}"#),
    ] {
        let spec = parse(before).unwrap();
        assert_eq!(splice(before, &[spec.rootfs_propagation.unwrap().set(before, "rslave")]).concat(), after);
    }
    assert_eq!(parse(r#"{"linux":{"maskedPaths":["/m","/n"]}}"#).unwrap().masked_paths(), ["/m", "/n"]);
    // What is not read would be appended again and again.
    assert_eq!(parse(r#"{"linux":{"maskedPaths":["/m",true]}}"#).unwrap().append_masked_paths(&["/n"]), None);
    // Half a surrogate pair is U+FFFD to runc and `?` to crun.
    assert_eq!(parse(r#"{"linux":{"maskedPaths":["/m","/\ud800"]}}"#).unwrap().append_masked_paths(&["/n"]), None);
    assert!(parse(r#"{"root":{"path":"r","readonly":true}}"#).unwrap().root_readonly);
    assert!(!parse(r#"{"root":{"path":"r","readonly":false}}"#).unwrap().root_readonly);
}
