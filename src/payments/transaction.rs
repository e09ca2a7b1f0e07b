//! The names of transactions. One may be written with `0x` or without, in capitals or not: what is
//! shown has small digits, and what counts has no `0x` either.

/// A name as it is kept and shown: hex digits are the same in either case.
pub(super) fn name(mut name: String) -> String {
    let hex = |digits: &str| digits.bytes().all(|b| b.is_ascii_hexdigit());
    if marked(&name).is_some() || hex(&name) {
        name.make_ascii_lowercase();
    }
    name
}

/// What is the same for every way to write a transaction's name; `migrations/0008` says it in SQL.
pub(super) fn key(of: &str) -> String {
    let name = name(of.to_owned());
    marked(&name).map(str::to_owned).unwrap_or(name)
}

/// Whether two names are of one transaction.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    key(one) == key(other)
}

/// What follows `0x`.
fn marked(name: &str) -> Option<&str> {
    name.strip_prefix("0x").or(name.strip_prefix("0X")).filter(|rest| !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_has_one_key_however_it_is_written() {
        let bare = "ab".repeat(32);
        for written in [&bare, &bare.to_uppercase(), &format!("0x{bare}"), &format!("0X{bare}")] {
            assert_eq!(key(written), bare, "{written}");
        }
        assert_eq!(name("0XABC".to_owned()), "0xabc");
        assert_eq!(name("ABC".to_owned()), "abc");
    }

    #[test]
    fn where_case_counts_it_is_kept() {
        let solana = "5VERv8NMvzbJMEkV8xnrLkEaWRtSz9CosKDYjCJjBRnb";
        assert_eq!((name(solana.to_owned()), key(solana)), (solana.to_owned(), solana.to_owned()));
        assert!(!is_same(solana, &solana.to_lowercase()));
        assert_eq!(key("0x"), "0x");
    }
}
