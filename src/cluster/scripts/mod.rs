//! The scripts by which Redis decides who is here, and who takes what emitters publish: each runs whole, and
//! nothing comes between its parts.

use redis::Script;

pub(super) struct Scripts {
    pub(super) alive: Script,
    pub(super) arrive: Script,
    pub(super) claim: Script,
    pub(super) done: Script,
    pub(super) leave: Script,
    pub(super) mark: Script,
    pub(super) tick: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        let script = |body: &str| Script::new(&[include_str!("head.lua"), body].concat());
        Self {
            alive: Script::new(include_str!("alive.lua")),
            claim: Script::new(include_str!("claim.lua")),
            done: Script::new(include_str!("done.lua")),
            mark: Script::new(include_str!("mark.lua")),
            arrive: script(include_str!("arrive.lua")),
            leave: script(include_str!("leave.lua")),
            tick: script(include_str!("tick.lua")),
        }
    }
}
