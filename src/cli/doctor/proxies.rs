//! Whether the server is told whom a proxy stands before.

use ipnet::IpNet;
use stoa::config::ServerConfig;

use super::finding::{Check, Finding};

pub(super) fn look(server: &ServerConfig, in_front: &[String]) -> Finding {
    let trusted = &server.trusted_proxies;
    if let Some(all) = trusted.iter().find(|range| range.prefix_len() == 0) {
        return Check::Proxies.warning(
            format!("everybody's X-Forwarded-For is believed (TRUSTED_PROXIES has {all})"),
            "name the proxies' own addresses alone: else whoever reaches the port says that they are another, and no \
             limit of addresses holds",
        );
    }
    let who = in_front.join(", ");
    match (trusted.as_slice(), in_front) {
        ([], []) => Check::Proxies.ok("nothing seems to stand in front, and nobody's X-Forwarded-For is believed"),
        ([], _) => Check::Proxies.warning(
            format!("{who} stands in front, and TRUSTED_PROXIES is empty: all people have its address, and its limits"),
            "set TRUSTED_PROXIES to the addresses that the proxy comes from (127.0.0.1 where it is on this machine), and \
             let it send X-Forwarded-For",
        ),
        (some, []) => Check::Proxies.note(
            format!("nothing seems to stand in front, and {} is believed", ranges(some)),
            "right where the proxy does not say its name; else leave TRUSTED_PROXIES empty",
        ),
        (some, _) => Check::Proxies.ok(format!("{who} stands in front, and {} is believed", ranges(some))),
    }
}

fn ranges(some: &[IpNet]) -> String {
    some.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use stoa::config::Config;

    use super::{super::finding::Level, *};

    #[test]
    fn who_stands_in_front_has_to_be_believed_and_nobody_else() {
        let mut server = Config::for_tests().server;
        let nginx = ["nginx".to_owned()];
        for (trusted, in_front, level) in [
            (&[][..], &[][..], Level::Ok),
            (&[], &nginx, Level::Warning),
            (&["10.0.0.0/8"], &nginx, Level::Ok),
            (&["10.0.0.0/8"], &[], Level::Note),
            (&["0.0.0.0/0"], &nginx, Level::Warning),
            (&["::/0"], &[], Level::Warning),
        ] {
            server.trusted_proxies = trusted.iter().map(|range| range.parse().unwrap()).collect();
            assert_eq!(look(&server, in_front).level, level, "{trusted:?} {in_front:?}");
        }
    }
}
