//! What a reaction may be: an emoji, or the short code of one (docs/contract/rest.md#chat).

use unicode_properties::UnicodeEmoji;
use unicode_segmentation::UnicodeSegmentation;

/// Bytes of an emoji, at most.
const MAX_BYTES: usize = 32;

/// Bytes of a short code with its colons, at most.
const MAX_CODE_BYTES: usize = 64;

/// Makes a keycap of a digit, `#` or `*`, which are no emoji by themselves.
const KEYCAP: char = '\u{20e3}';

/// Whether a text is one emoji, or looks like the `:short_code:` of one: which codes there are is
/// for the apps to know.
pub(super) fn is_reaction(text: &str) -> bool {
    match text.strip_prefix(':') {
        Some(rest) => rest.strip_suffix(':').is_some_and(is_code) && text.len() <= MAX_CODE_BYTES,
        None => text.len() <= MAX_BYTES && is_emoji(text),
    }
}

fn is_code(code: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_+-".contains(&b);
    !code.is_empty() && code.bytes().all(allowed)
}

/// One grapheme cluster (UAX #29) of emoji and of what joins and colours them (UTS #51).
fn is_emoji(text: &str) -> bool {
    let begins = text.chars().next().is_some_and(|first| {
        first.is_emoji_char() && (!first.is_ascii() || text.ends_with(KEYCAP))
    });
    begins
        && text.chars().all(UnicodeEmoji::is_emoji_char_or_emoji_component)
        && text.graphemes(true).nth(1).is_none()
}
