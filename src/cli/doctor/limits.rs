//! What the system lets a process have: open files, memory.

use std::{fs, path::Path};

use rustix::process::{Resource, getrlimit};
use stoa::config::Config;

use super::finding::{Check, Finding, size};

/// What a server opens beside its sockets (docs/operating.md).
const BESIDE: u64 = 500;

/// Fewer are used up by the first hundreds of people.
const FEW: u64 = 1024;

/// Less memory than this is not enough to begin with, or soon not.
const LITTLE: u64 = 128 << 20;
const TIGHT: u64 = 256 << 20;

/// Where the groups of processes are, and their limits.
const GROUPS: &str = "/sys/fs/cgroup";

pub(super) fn look(config: Option<&Config>) -> Vec<Finding> {
    let files = getrlimit(Resource::Nofile);
    // As many as one address may have, where nobody has said more.
    let sockets = config.map_or(10_000, |config| config.limits.connections_per_address);
    let sockets = u64::try_from(sockets).unwrap_or(u64::MAX - BESIDE);
    let mut found = vec![open_files(files.current, files.maximum, sockets + BESIDE)];
    let group = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    found.extend(memory_of(Path::new(GROUPS), &group).map(memory));
    found
}

/// None is no limit.
fn open_files(now: Option<u64>, most: Option<u64>, wanted: u64) -> Finding {
    let Some(now) = now.filter(|now| *now < wanted) else {
        let number = now.map_or_else(|| "any number of".to_owned(), |now| now.to_string());
        return Check::Limits.ok(format!("{number} files may be open"));
    };
    let found = format!(
        "{now} files may be open here: sockets for about {} people, and one address alone may have {}",
        now.saturating_sub(BESIDE.min(now / 2)),
        wanted - BESIDE
    );
    let shell = match most {
        Some(most) if most < wanted => "as root `ulimit -n 262144`".to_owned(),
        _ => "`ulimit -n 262144`".to_owned(),
    };
    let advice = format!(
        "LimitNOFILE=262144 in the unit of systemd, `--ulimit nofile=262144` for docker run (ulimits: in compose), \
         or in the shell that starts it {shell}; a service has its own limit, so ask as it runs"
    );
    if now < FEW {
        Check::Limits.problem(found, advice)
    } else {
        Check::Limits.warning(found, advice)
    }
}

/// The least memory that a process's group, or one around that, may have; none without a limit.
fn memory_of(groups: &Path, of_process: &str) -> Option<u64> {
    let read = |file: &Path| fs::read_to_string(file).ok()?.trim().parse::<u64>().ok();
    // The second version has one line, `0::/path`; the first one line for each kind of limit.
    let own = of_process.lines().find_map(|line| line.strip_prefix("0::/"));
    let own = groups.join(own.unwrap_or_default());
    let around = own.ancestors().take_while(|group| group.starts_with(groups));
    let second = around.filter_map(|group| read(&group.join("memory.max"))).min();
    let first = || read(&groups.join("memory/memory.limit_in_bytes"));
    // Without a limit the first version says a number that no machine has.
    second.or_else(first).filter(|bytes| *bytes < 1 << 50)
}

fn memory(bytes: u64) -> Finding {
    let found = format!("{} of memory may be used", size(bytes));
    let advice = "256 MiB and more for a server with people: MemoryMax= in the unit of systemd, --memory \
                  for docker, resources.limits.memory in Kubernetes; docs/limits.md has the sum";
    if bytes < LITTLE {
        Check::Limits.problem(found, advice)
    } else if bytes < TIGHT {
        Check::Limits.warning(found, advice)
    } else {
        Check::Limits.ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Level, *};

    #[test]
    fn open_files_are_enough_for_those_of_one_address() {
        for (now, most, level) in [
            (None, None, Level::Ok),
            (Some(262_144), Some(262_144), Level::Ok),
            (Some(10_500), None, Level::Ok),
            (Some(10_499), None, Level::Warning),
            (Some(1024), Some(4096), Level::Warning),
            (Some(256), Some(4096), Level::Problem),
        ] {
            let found = open_files(now, most, 10_500);
            assert_eq!(found.level, level, "{found}");
            let advice = found.advice.unwrap_or_default();
            assert_eq!(advice.contains("LimitNOFILE="), level != Level::Ok, "{advice}");
            assert_eq!(advice.contains("as root"), most == Some(4096), "{advice}");
        }
    }

    #[test]
    fn the_least_memory_of_all_groups_around_counts() {
        let groups = tempfile::tempdir().unwrap();
        let own = groups.path().join("system.slice/stoa.service");
        fs::create_dir_all(&own).unwrap();
        let of = || memory_of(groups.path(), "0::/system.slice/stoa.service\n");
        assert_eq!(of(), None);
        fs::write(own.join("memory.max"), "max\n").unwrap();
        assert_eq!(of(), None);
        fs::write(groups.path().join("system.slice/memory.max"), "1073741824\n").unwrap();
        assert_eq!(of(), Some(1 << 30));
        fs::write(own.join("memory.max"), "134217728\n").unwrap();
        assert_eq!(of(), Some(128 << 20));
        assert_eq!(memory_of(groups.path(), ""), None);
        fs::create_dir(groups.path().join("memory")).unwrap();
        let first = groups.path().join("memory/memory.limit_in_bytes");
        fs::write(&first, "9223372036854771712\n").unwrap();
        assert_eq!(memory_of(groups.path(), "4:memory:/\n"), None);
        fs::write(&first, "67108864\n").unwrap();
        assert_eq!(
            memory_of(groups.path(), "4:memory:/\n").map(|bytes| memory(bytes).level),
            Some(Level::Problem)
        );
        assert_eq!(memory(200 << 20).level, Level::Warning);
        assert_eq!(memory(256 << 20).level, Level::Ok);
    }
}
