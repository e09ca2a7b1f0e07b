//! How far a request may go: the table of moves, from which the rules and the documents come
//! (docs/contract/rest.md#marketplace).

use super::documents::RequestStatus;
use crate::error::{Code, Error, Result};

/// What takes a request from one status to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// The buyer accepts an offer.
    Accept,
    /// A payment is confirmed.
    Pay,
    /// The seller sends the goods.
    Ship,
    /// The buyer enters the delivery code.
    Deliver,
    /// The buyer, or a backend, calls it done.
    Complete,
    /// The buyer, or an admin, calls it off.
    Cancel,
}

/// Every move that there is: what, from where, to where.
pub const MOVES: [(Move, RequestStatus, RequestStatus); 7] = [
    (Move::Accept, RequestStatus::Open, RequestStatus::Accepted),
    (Move::Pay, RequestStatus::Accepted, RequestStatus::Paid),
    (Move::Ship, RequestStatus::Paid, RequestStatus::Shipped),
    (Move::Deliver, RequestStatus::Shipped, RequestStatus::Delivered),
    (Move::Complete, RequestStatus::Delivered, RequestStatus::Completed),
    (Move::Cancel, RequestStatus::Open, RequestStatus::Cancelled),
    (Move::Cancel, RequestStatus::Accepted, RequestStatus::Cancelled),
];

impl Move {
    /// Where it takes a request that stands at `from`.
    ///
    /// # Errors
    /// [`Code::Conflict`] where the table has no such move.
    pub fn from(self, from: RequestStatus) -> Result<RequestStatus> {
        let found = MOVES.iter().find(|(what, start, _)| *what == self && *start == from);
        found.map(|(_, _, to)| *to).ok_or_else(|| {
            let starts: Vec<_> = MOVES
                .iter()
                .filter(|(what, _, _)| *what == self)
                .map(|(_, start, _)| start.as_str())
                .collect();
            let sentence = format!(
                "The request is {}; this is for one that is {}.",
                from.as_str(),
                starts.join(" or ")
            );
            Error::new(Code::Conflict, sentence)
        })
    }

    /// By which call it is made.
    const fn by(self) -> &'static str {
        match self {
            Self::Accept => "`POST /api/marketplace/offers/{id}/accept` by the buyer",
            Self::Pay => "a confirmed payment",
            Self::Ship => {
                "`PATCH /api/marketplace/requests/{id}/delivery` with `status: \"shipped\"` by the seller"
            }
            Self::Deliver => {
                "`POST /api/marketplace/requests/{id}/delivery/confirm` with the code by the buyer"
            }
            Self::Complete => {
                "`POST /api/marketplace/requests/{id}/complete` by the buyer or a service"
            }
            Self::Cancel => {
                "`POST /api/marketplace/requests/{id}/cancel` with a `reason` by the buyer or an admin"
            }
        }
    }
}

/// The table as Markdown, for documents.
#[must_use]
pub fn table() -> String {
    let rows = MOVES.iter().map(|(what, from, to)| {
        format!("| `{}` | `{}` | {} |\n", from.as_str(), to.as_str(), what.by())
    });
    format!("| from | to | by |\n|---|---|---|\n{}", rows.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_moves_of_the_table_are_made() {
        use RequestStatus::{Accepted, Cancelled, Completed, Delivered, Open, Paid, Shipped};

        let all = [Open, Accepted, Paid, Shipped, Delivered, Completed, Cancelled];
        let moves =
            [Move::Accept, Move::Pay, Move::Ship, Move::Deliver, Move::Complete, Move::Cancel];
        let mut made = 0;
        for what in moves {
            for from in all {
                match what.from(from) {
                    Ok(to) => {
                        assert!(MOVES.contains(&(what, from, to)));
                        made += 1;
                    }
                    Err(error) => assert_eq!(error.code(), Code::Conflict),
                }
            }
        }
        assert_eq!(made, MOVES.len());
        let error = Move::Cancel.from(Paid).unwrap_err();
        let sentence = "The request is paid; this is for one that is open or accepted.";
        assert_eq!(error.detail(), sentence);
    }

    #[test]
    fn the_readme_shows_the_table() {
        let readme = include_str!("../../README.md");
        assert!(readme.contains(&table()), "put this into the README:\n{}", table());
    }
}
