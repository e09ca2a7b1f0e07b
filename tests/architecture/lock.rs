//! Versions below which a dependency has a fault that matters here, checked on `Cargo.lock`.

use std::{cmp::Ordering, fmt::Write as _};

/// The first good version of each.
const AT_LEAST: [(&str, &str); 8] = [
    ("socketioxide", "0.18.9"),
    ("engineioxide", "0.17.9"),
    ("engineioxide-core", "0.2.3"),
    ("socketioxide-parser-common", "0.17.3"),
    ("jsonwebtoken", "10.3"),
    ("sqlx", "0.8.1"),
    ("h2", "0.4.4"),
    ("time", "0.3.47"),
];

/// The stream below the engine leans on this version's handing over whole frames: another one is
/// taken on purpose, after the stream's tests ran with it.
const TUNGSTENITE: &str = "0.30.0";

/// Name and version of every package of a lock file.
fn packages(lock: &str) -> Vec<(String, String)> {
    let lock: toml::Table = lock.parse().expect("a lock file");
    let text = |package: &toml::Value, key: &str| package[key].as_str().expect(key).to_owned();
    let packages = lock["package"].as_array().expect("packages").iter();
    packages.map(|package| (text(package, "name"), text(package, "version"))).collect()
}

fn compare(a: &str, b: &str) -> Ordering {
    let numbers = |version: &str| -> Vec<u64> {
        let plain = version.split(['-', '+']).next().unwrap_or_default();
        plain.split('.').map(|part| part.parse().expect("a number")).collect()
    };
    numbers(a).cmp(&numbers(b))
}

/// What is wrong with a lock file.
fn faults(lock: &str) -> String {
    let mut faults = String::new();
    let packages = packages(lock);
    for (name, version) in &packages {
        let least = AT_LEAST.iter().find(|(floor, _)| floor == name).map(|(_, version)| *version);
        if let Some(least) = least
            && compare(version, least) == Ordering::Less
        {
            let _ = writeln!(faults, "{name} {version} is older than {least}");
        }
    }
    let tungstenite: Vec<_> =
        packages.iter().filter(|(name, _)| name == "tungstenite").map(|(_, v)| v).collect();
    if tungstenite != [TUNGSTENITE] {
        let _ = writeln!(faults, "tungstenite {tungstenite:?} instead of {TUNGSTENITE} alone");
    }
    faults
}

#[test]
fn the_locked_versions_are_good_ones() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock");
    let lock = std::fs::read_to_string(path).expect("Cargo.lock");
    assert_eq!(faults(&lock), "");
    assert!(packages(&lock).iter().any(|(name, _)| name == "socketioxide"));
}

#[test]
fn an_old_version_and_another_tungstenite_are_found() {
    let lock = |packages: &[(&str, &str)]| {
        packages.iter().fold(String::new(), |mut lock, (name, version)| {
            let _ = writeln!(lock, "[[package]]\nname = \"{name}\"\nversion = \"{version}\"");
            lock
        })
    };
    let good = ("tungstenite", TUNGSTENITE);
    assert_eq!(faults(&lock(&[good, ("time", "0.3.47"), ("h2", "0.10.0")])), "");
    assert_eq!(
        faults(&lock(&[good, ("time", "0.3.9"), ("jsonwebtoken", "9.3.1")])),
        "time 0.3.9 is older than 0.3.47\njsonwebtoken 9.3.1 is older than 10.3\n"
    );
    assert!(faults(&lock(&[("tungstenite", "0.29.0")])).contains("tungstenite"));
    assert!(faults(&lock(&[good, ("tungstenite", "0.29.0")])).contains("tungstenite"));
}
