//! What happens to a bind that would pin: rewritten, refused with advice, or only noticed.

use crate::node::Node;
use crate::private_mounts::PrivateMounts;
use crate::told::told;

/// A document with these options for binds of the protected root on /m0, /m1, ….
fn with_mounts(node: &Node, options: &[&str]) -> String {
    let whole = node.pinning();
    let (start, end) = (whole.find("[{\"dest").unwrap() + 1, whole.find("}],\"linux\"").unwrap() + 1);
    let mount =
        |(index, options): (usize, &&str)| whole[start..end].replace("/host", &format!("/m{index}")).replace(r#""rbind","rprivate""#, options);
    format!("{}{}{}", &whole[..start], options.iter().enumerate().map(mount).collect::<Vec<_>>().join(","), &whole[end..])
}

const REFUSED: [(&str, &str); 5] = [
    (r#""rbind","rprivate""#, "rprivate"),
    (r#""private","rbind","ro""#, "private"),
    (r#""rbind","slave""#, "slave"),
    (r#""rbind","unbindable""#, "unbindable"),
    (r#""rbind","rslave","rprivate""#, "rslave,rprivate"),
];

#[test]
fn reject_names_every_mount_and_what_to_write_instead() {
    let node = Node::new();
    let _mounts = PrivateMounts::as_on_a_real(&node);
    node.settings("policy = 'reject'");
    node.config(with_mounts(&node, &REFUSED.map(|(options, _)| options)));
    let before = node.config_state();
    for command in ["create", "run", "restore"] {
        let message = told(&node, &[command, "--bundle", &node.bundle(), "c1"], |call| call);
        for (index, (_, written)) in REFUSED.iter().enumerate() {
            let sentence =
                message.split("; mount ").find(|part| part.contains(&format!("/m{index}: "))).unwrap_or_else(|| panic!("/m{index} in {message}"));
            assert!(sentence.contains(&node.text("protected")) && sentence.contains(&format!("has the propagation {written}")), "{sentence}");
        }
        assert_eq!(message.matches("write rslave instead").count(), REFUSED.len(), "{message}");
        assert!(message.contains("propagation rslave,rprivate; write rslave instead"), "{message}");
    }
    assert_eq!(node.config_state(), before);
    assert!(node.own_log().is_empty());
    node.assert_passes_through(node.guard(["delete", "--force", "c1"]));
}

#[test]
fn reject_completes_what_the_user_left_open_and_lets_the_rest_pass() {
    let node = Node::new();
    let _mounts = PrivateMounts::as_on_a_real(&node);
    node.settings("policy = 'reject'");
    node.config(with_mounts(&node, &[r#""rbind""#, r#""rbind","rshared""#, r#""bind","private""#, r#""rbind","rslave""#]));
    node.create().run().reached();
    let text = String::from_utf8(node.config_state().bytes).unwrap();
    let options: Vec<&str> = text.split("\"options\":[").skip(1).map(|rest| rest.split(']').next().unwrap()).collect();
    assert_eq!(options, [r#""rbind","rslave""#, r#""rbind","rshared""#, r#""bind","private""#, r#""rbind","rslave""#]);
}

#[test]
fn reject_refuses_a_host_on_which_a_slave_would_receive_nothing() {
    let node = Node::new();
    let mut mounts = PrivateMounts::new();
    mounts.bind(node.path("."));
    node.settings("policy = 'reject'");
    node.config(with_mounts(&node, &[r#""rbind","rslave""#]));
    let message = told(&node, &["create", "--bundle", &node.bundle(), "c1"], |call| call);
    assert!(message.contains("/m0: rslave has no effect") && message.contains("make it shared"), "{message}");
}

#[test]
fn warn_changes_nothing_and_says_what_would_pin() {
    let node = Node::new();
    node.settings("policy = 'warn'");
    let before = node.config_state();
    node.create().run().reached();
    assert_eq!(node.config_state(), before);
    let line = node.take_notice();
    let said = line["notices"][0]["msg"].as_str().unwrap();
    assert!(said.contains("/host") && said.contains("rslave") && said.contains(&node.text("protected")), "{line}");
    assert_eq!((line["level"].as_str(), line["changes"].as_array().unwrap().len()), (Some("warning"), 0));
}

#[test]
fn a_container_opts_out_only_where_the_settings_allow_it() {
    let node = Node::new();
    let annotated = |value: &str| node.pinning().replacen('{', &format!(r#"{{"annotations":{{"runc-guard/slave-protected-binds":{value}}},"#), 1);
    let allowed = "allow_opt_out = ['slave-protected-binds']";
    for (settings, annotation, is_changed) in [
        ("", r#""off""#, true),
        ("allow_opt_out = ['may-detach-mounts']", r#""off""#, true),
        (allowed, r#""off""#, false),
        (allowed, r#""on""#, true),
        (allowed, r#""OFF""#, true),
        (allowed, "false", true),
        (allowed, r#""off","runc-guard/slave-protected-binds":"off""#, true),
    ] {
        node.settings(settings);
        node.config(annotated(annotation));
        let before = node.config_state();
        node.create().run().reached();
        assert_eq!(node.config_state() != before, is_changed, "{settings} {annotation}");
    }
}

#[test]
fn a_rule_that_is_switched_off_changes_nothing() {
    let node = Node::new();
    node.settings("[rules.slave-protected-binds]\nenabled = false");
    let before = node.config_state();
    node.create().run().reached();
    assert_eq!(node.config_state(), before);
    assert!(node.own_log().is_empty());
}
