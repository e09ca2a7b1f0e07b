//! Names of events and fields as they are told. Some apps put values into them (`chat-507f1f77`): what
//! looks like one is told as `*`.

/// The longest part of a name that is a word.
const LONGEST_WORD: usize = 32;

/// The longest name that is told.
const LONGEST: usize = 64;

/// A name without the values in it.
pub(super) fn told(name: &str) -> String {
    if name.len() > 4 * LONGEST || name.contains('@') || name.contains(char::is_control) {
        return "*".to_owned();
    }
    let mut told = String::new();
    let mut rest = name;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let mut separator = after.chars();
        let separated = separator.next();
        rest = separator.as_str();
        if !is_value(word) {
            told.push_str(word);
        } else if !told.ends_with('*') {
            // What parts two values is part of one.
            let before = told.trim_end_matches(|c: char| !c.is_alphanumeric() && c != '*').len();
            if told[..before].ends_with('*') {
                told.truncate(before);
            } else {
                told.push('*');
            }
        }
        told.extend(separated);
    }
    told.chars().take(LONGEST).collect()
}

/// Whether a word is rather an id: it has several digits, nothing else, or is too long.
fn is_value(word: &str) -> bool {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    digits > 1 || (digits == 1 && word.len() == 1) || word.chars().count() > LONGEST_WORD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_and_values_are_not() {
        for (name, expected) in [
            ("message:new", "message:new"),
            ("_id", "_id"),
            ("$set.address2", "$set.address2"),
            ("chat message", "chat message"),
            ("été", "été"),
            ("507f1f77bcf86cd799439011", "*"),
            ("chat-507f1f77bcf86cd799439011", "chat-*"),
            ("chat-550e8400-e29b-41d4-a716-446655440000:new", "chat-*:new"),
            ("step-7", "step-*"),
            ("/room/12/34", "/room/*"),
            ("ann@example.org", "*"),
            ("a\nb", "*"),
            (&"x".repeat(33), "*"),
            ("", ""),
        ] {
            assert_eq!(told(name), expected, "{name}");
        }
        assert_eq!(told(&"word ".repeat(40)).len(), LONGEST);
    }
}
