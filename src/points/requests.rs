//! What callers ask of points, and the rules of its fields (docs/contract/rest.md#points).
#![expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives references")]

use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    error::{Code, Error, FieldError, Result},
    id::Id,
    text::{self, PersonName},
};

/// The most points that one entry brings or takes.
const MAX_POINTS: i64 = 1_000_000_000;

fn not_zero(points: &i64, (): &()) -> garde::Result {
    if *points == 0 { Err(garde::Error::new("is not 0")) } else { Ok(()) }
}

/// Points to award.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct Award {
    /// Who earned them.
    pub user_id: Id,
    /// How many, but not 0; less than 0 is a correction.
    #[garde(range(min = -MAX_POINTS, max = MAX_POINTS), custom(not_zero))]
    #[schema(minimum = -1_000_000_000, maximum = 1_000_000_000)]
    pub points: i64,
    /// What for.
    #[garde(length(chars, min = 1, max = 200), custom(text::line))]
    #[schema(min_length = 1, max_length = 200)]
    pub reason: String,
    /// What the backend calls it, unique for the user: the same again changes nothing.
    #[garde(length(chars, min = 1, max = 256), custom(text::line))]
    #[schema(min_length = 1, max_length = 256)]
    pub reference: String,
}

/// A referral to record: by the referrer's code or by their id.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct CreateReferral {
    /// The referrer's code.
    #[garde(inner(length(chars, min = 1, max = 64), custom(text::line)))]
    #[schema(min_length = 1, max_length = 64)]
    referral_code: Option<String>,
    /// The referrer.
    referrer_id: Option<Id>,
    /// Who was referred.
    pub(super) referred_user_id: Id,
    /// Their name, for the referrer to read.
    pub(super) name: PersonName,
}

/// Who refers someone.
pub(super) enum Referrer {
    /// Whoever has this code.
    Code(String),
    /// This user.
    User(Id),
}

impl CreateReferral {
    /// Who refers.
    ///
    /// # Errors
    /// [`Code::InvalidPayload`](crate::error::Code::InvalidPayload) unless there is one of the two.
    pub(super) fn referrer(&mut self) -> Result<Referrer> {
        match (self.referral_code.take(), self.referrer_id.take()) {
            (Some(code), None) => Ok(Referrer::Code(code)),
            (None, Some(user)) => Ok(Referrer::User(user)),
            _ => {
                let fields = ["/referralCode", "/referrerId"].map(|pointer| FieldError {
                    pointer: pointer.to_owned(),
                    detail: "either this or the other is given".to_owned(),
                });
                let sentence = "Give either referralCode or referrerId.";
                Err(Error::new(Code::InvalidPayload, sentence).with_fields(fields.into()))
            }
        }
    }
}

/// A reward for whoever referred someone.
#[derive(Clone, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct Reward {
    /// Who was referred.
    pub(super) referred_user_id: Id,
    /// How many points.
    #[garde(range(min = 1, max = MAX_POINTS))]
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    pub(super) points: i64,
    /// What the backend calls it: with another one the same referral is rewarded again.
    #[garde(inner(length(chars, min = 1, max = 256), custom(text::line)))]
    #[schema(min_length = 1, max_length = 256)]
    pub(super) reference: Option<String>,
}
