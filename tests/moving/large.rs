//! Many lines take little memory, and time that grows as they do. `make drill` tries ten million of them.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::verb;
use crate::support::{eventually, within_time};

/// How many there are; `STOA_LINES` says otherwise.
const LINES: u64 = 20_000;

/// What a process may take of the machine's memory, whatever it reads.
const MEMORY_KB: u64 = 200 * 1024;

/// How long ten million may take.
const DEADLINE: Duration = Duration::from_hours(1);

fn lines() -> u64 {
    let lines = std::env::var("STOA_LINES").ok();
    lines.map_or(LINES, |lines| lines.parse().expect("a number of lines"))
}

/// What a chat of so many lines has in it, its messages in the order in which they were written: in one
/// conversation after another.
fn write(file: &Path, lines: u64) -> u64 {
    let mut file = BufWriter::new(File::create(file).expect("a file"));
    let (users, conversations) = ((lines / 100).max(3), (lines / 70).max(1));
    let messages = lines - users - conversations;
    let mut line = |text: String| writeln!(file, "{text}").expect("a line");
    for message in 0..messages {
        let conversation = message % conversations;
        let sender = (conversation + message / conversations % 3) % users;
        let (seconds, millis) = (message / 1000, message % 1000);
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
        line(format!(
            r#"{{"type":"message","id":"5f0c1a2b3c4d5e6f{message:08x}","conversationId":"6a0c1a2b3c4d5e6f{conversation:08x}","senderId":"4b0c1a2b3c4d5e6f{sender:08x}","content":"What is said in message {message}, as long as people are in a chat","createdAt":"2020-05-{:02}T{hours:02}:{minutes:02}:{:02}.{millis:03}Z"}}"#,
            days + 1,
            seconds % 60
        ));
    }
    for conversation in 0..conversations {
        let people: Vec<String> = (0..3)
            .map(|person| {
                format!(r#"{{"userId":"4b0c1a2b3c4d5e6f{:08x}"}}"#, (conversation + person) % users)
            })
            .collect();
        line(format!(
            r#"{{"type":"conversation","id":"6a0c1a2b3c4d5e6f{conversation:08x}","kind":"group","createdBy":"4b0c1a2b3c4d5e6f{:08x}","createdAt":"2020-04-30T00:00:00Z","participants":[{}]}}"#,
            conversation % users,
            people.join(",")
        ));
    }
    for user in 0..users {
        line(format!(
            r#"{{"type":"user","id":"4b0c1a2b3c4d5e6f{user:08x}","profile":{{"firstName":"User","lastName":"{user}"}}}}"#
        ));
    }
    users + conversations + messages
}

/// Waits for the end of a process; how much memory it took at the most, in kB.
async fn memory_of(mut process: Child) -> u64 {
    let status = format!("/proc/{}/status", process.id());
    let mut most = 0;
    let ask = async || {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.trim().parse().ok());
        most = most.max(peak.unwrap_or(0));
        process.try_wait().expect("a process")
    };
    let ended = within_time(DEADLINE, "the end of a verb", eventually(ask)).await;
    assert!(ended.success(), "{ended:?}");
    most
}

async fn measured(what: &str, lines: u64, mut command: Command) {
    let begun = Instant::now();
    let memory = memory_of(command.spawn().expect("the verb")).await;
    let took = begun.elapsed();
    #[expect(clippy::cast_precision_loss, reason = "it is for people")]
    let speed = lines as f64 / took.as_secs_f64();
    println!("{what}: {lines} lines in {took:.1?}, {speed:.0} a second, {memory} kB");
    assert!(memory < MEMORY_KB, "{what} took {memory} kB");
}

#[tokio::test]
async fn many_lines_take_little_memory_on_their_way_in_and_out() {
    let folder = TempDir::new().expect("a folder");
    let data = folder.path();
    let lines = write(&data.join("lines.jsonl"), lines());
    let mut import = verb::command(data, None, &["import", "lines.jsonl"]);
    import.stdout(Stdio::null()).stderr(Stdio::null());
    measured("taken in", lines, import).await;
    let mut export = verb::command(data, None, &["export"]);
    let told = File::create(data.join("told.jsonl")).expect("a file");
    export.stdout(told).stderr(Stdio::null());
    measured("told", lines, export).await;
    let count = Command::new("wc").arg("-l").arg(data.join("told.jsonl")).output();
    let count = String::from_utf8(count.expect("a count").stdout).expect("text");
    assert!(count.starts_with(&format!("{lines} ")), "{count} of {lines}");
    // Once more everything is read and compared, and nothing written.
    let mut again = verb::command(data, None, &["import", "told.jsonl"]);
    again.stdout(Stdio::null()).stderr(Stdio::null());
    measured("compared", lines, again).await;
}
