use super::*;

const BEFORE: &str = "90 80 0:60 / / rw - overlay overlay rw\n\
    93 90 8:1 / /host rw - ext4 /dev/sda1 rw\n\
    94 93 7:0 / /host/vol rw - ext4 /dev/loop0 rw\n";

fn told(after: &str) -> Vec<Message> {
    differences(&lines(BEFORE.as_bytes()), &lines(after.as_bytes()), &HashMap::from([(93, 1), (94, 3)]))
}

fn healed() -> String {
    BEFORE.replace("/host rw -", "/host rw master:1 -").replace("/host/vol rw -", "/host/vol rw master:3 -")
}

#[test]
fn exactly_the_healed_mounts_have_the_right_master() {
    assert_eq!(told(&healed()), []);
    for wrong in ["master:2", "shared:1", "shared:1 master:1", ""] {
        let found = told(&healed().replace("master:1", wrong));
        assert!(matches!(&found[..], [Message::Failed(why)] if why.starts_with("/host is not the slave")), "{wrong}: {found:?}");
    }
}

#[test]
fn what_others_did_at_the_same_time_is_told_apart() {
    let meanwhile = |what: &str| Message::Meanwhile(what.to_owned());
    assert_eq!(told(&[&healed(), "95 93 0:9 / /host/new rw master:9 - tmpfs new rw\n"].concat()), [meanwhile("/host/new was mounted")]);
    assert_eq!(told(healed().trim_end().rsplit_once('\n').unwrap().0), [meanwhile("/host/vol was unmounted")]);
    assert_eq!(told(&healed().replace("/host/vol", "/host/moved")), [meanwhile("/host/vol was renamed to /host/moved")]);
    assert_eq!(told(&healed().replace("/ / rw", "/ / ro")), [meanwhile("/ was changed by somebody else")]);
}
