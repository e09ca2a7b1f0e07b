//! `stoa check-config`: what the start would refuse, it refuses.

use std::process::Command;

/// Whether it is content, and what it says of what is wrong.
fn check(setting: (&str, &str)) -> (bool, String) {
    let data = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_stoa"));
    command.env_clear().current_dir(data.path()).env(setting.0, setting.1).arg("check-config");
    let output = command.output().expect("the command");
    assert_eq!(std::fs::read_dir(data.path()).expect("the folder").count(), 0, "it makes nothing");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn what_the_start_refuses_is_refused() {
    assert!(check(("PORT", "3003")).0);
    let key = format!("billing:{}:evnt=payment-", "a".repeat(64));
    for (name, value, says) in [
        ("STOA_AUTH__ROLE_NAMES", "vendor=selller", "auth.role_names"),
        ("API_KEYS", &key, "API_KEYS: entry 1"),
        ("JWT_SECRET", "short", "JWT_SECRET"),
    ] {
        let (content, said) = check((name, value));
        assert!(!content && said.contains(says), "{name}: {said}");
    }
}
