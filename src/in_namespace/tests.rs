use super::*;

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn messages_come_back_in_order() {
    let answer: Answer<u32> = in_child(LIMIT, |sender| (1..=3).for_each(|number| sender.send(&number))).unwrap();
    assert_eq!(answer, Answer { messages: vec![1, 2, 3], broken: None });
}

#[test]
fn more_than_a_pipe_holds_comes_back() {
    let answer: Answer<String> = in_child(LIMIT, |sender| (0..100).for_each(|_| sender.send(&"x".repeat(4096)))).unwrap();
    assert_eq!((answer.messages.len(), answer.broken), (100, None));
}

#[test]
fn work_that_never_ends_is_ended_and_what_it_said_is_known() {
    let answer: Answer<u32> = in_child(Duration::from_millis(300), |sender| {
        sender.send(&7);
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    })
    .unwrap();
    assert_eq!(answer.messages, [7]);
    assert!(answer.broken.unwrap().contains("did not end within"));
}

#[test]
fn work_that_dies_is_told() {
    let answer: Answer<u32> = in_child(LIMIT, |sender| {
        sender.send(&7);
        let _ = kill(Pid::this(), Signal::SIGTERM);
        std::thread::sleep(LIMIT);
    })
    .unwrap();
    assert_eq!((answer.messages, answer.broken.unwrap().as_str()), (vec![7], "it was ended by SIGTERM"));
}

#[test]
fn a_handle_is_of_the_mount_that_was_meant() {
    let journey = Journey::begin().unwrap();
    let table = journey.table().unwrap();
    let lines = crate::mountinfo::line::lines(&table);
    let proc = lines.iter().rfind(|line| line.path() == Path::new("/proc")).unwrap();
    assert!(journey.hold(proc.path(), proc.id).unwrap().1.is_dir);
    assert_eq!(journey.hold(proc.path(), proc.id + 1).unwrap_err(), Errno::ESTALE);
    assert_eq!(journey.hold(Path::new("/proc/self"), proc.id).unwrap_err(), Errno::ESTALE, "in the mount, but not its root");
    assert_eq!(journey.hold(Path::new("/proc/self/stat"), proc.id).unwrap_err(), Errno::ELOOP);
}
