//! What callers ask of the marketplace, and the rules of its fields
//! (docs/contract/rest.md#marketplace).

use garde::Validate;
use serde::Deserialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::documents::{CheckoutStatus, RequestStatus};
use crate::{
    id::Id,
    money::{self, Amount, Currency, Money},
    rest::json::small_metadata,
    text,
};

/// The most requests in a checkout.
pub(super) const MAX_CHECKOUT_REQUESTS: usize = 100;

/// What a buyer would pay.
#[derive(Clone, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct Budget {
    /// How much, more than 0: a number or a decimal string.
    #[garde(custom(money::positive))]
    pub(super) amount: Amount,
    /// Of what.
    pub(super) currency: Currency,
}

impl From<Budget> for Money {
    fn from(Budget { amount, currency }: Budget) -> Self {
        Self { amount, currency }
    }
}

/// A purchase request to create.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct CreateRequest {
    /// One line.
    #[garde(length(chars, min = 1, max = 200), custom(text::line))]
    #[schema(min_length = 1, max_length = 200)]
    pub(super) title: String,
    /// The text.
    #[garde(length(chars, min = 1, max = 8000), custom(text::prose))]
    #[schema(min_length = 1, max_length = 8000)]
    pub(super) description: String,
    /// What the buyer would pay.
    #[garde(dive)]
    pub(super) budget: Budget,
    /// What sort of thing it is.
    #[garde(inner(length(chars, min = 1, max = 100), custom(text::line)))]
    #[schema(min_length = 1, max_length = 100)]
    pub(super) category: Option<String>,
    /// Anything for the clients, up to 16 KiB of JSON.
    #[serde(default)]
    #[garde(custom(small_metadata))]
    pub(super) metadata: Value,
}

/// The fields to change; those that are missing stay as they are.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct ChangeRequest {
    /// One line.
    #[garde(inner(length(chars, min = 1, max = 200), custom(text::line)))]
    #[schema(min_length = 1, max_length = 200)]
    pub(super) title: Option<String>,
    /// The text.
    #[garde(inner(length(chars, min = 1, max = 8000), custom(text::prose)))]
    #[schema(min_length = 1, max_length = 8000)]
    pub(super) description: Option<String>,
    /// What the buyer would pay.
    #[garde(dive)]
    pub(super) budget: Option<Budget>,
    /// What sort of thing it is.
    #[garde(inner(length(chars, min = 1, max = 100), custom(text::line)))]
    #[schema(min_length = 1, max_length = 100)]
    pub(super) category: Option<String>,
    /// Anything for the clients, up to 16 KiB of JSON.
    #[garde(inner(custom(small_metadata)))]
    pub(super) metadata: Option<Value>,
}

/// Which requests to list.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Only those that stand here.
    pub(super) status: Option<RequestStatus>,
    /// Only those of this buyer.
    #[param(value_type = Option<String>)]
    pub(super) buyer_id: Option<Id>,
}

/// Why a request is cancelled.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Cancel {
    /// For the sellers.
    #[garde(length(chars, min = 1, max = 1000), custom(text::prose))]
    #[schema(min_length = 1, max_length = 1000)]
    pub(super) reason: String,
}

/// An offer to create.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct CreateOffer {
    /// The price, more than 0: a number or a decimal string.
    #[garde(custom(money::positive))]
    pub(super) amount: Amount,
    /// The price's currency.
    pub(super) currency: Currency,
    /// What the seller says to it.
    #[garde(inner(length(chars, min = 1, max = 4000), custom(text::prose)))]
    #[schema(min_length = 1, max_length = 4000)]
    pub(super) message: Option<String>,
    /// How long delivery takes, in days.
    #[garde(inner(range(max = 3650)))]
    #[schema(maximum = 3650)]
    pub(super) delivery_days: Option<u32>,
}

/// Why an offer is rejected.
#[derive(Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reject {
    /// For the seller.
    #[garde(inner(length(chars, min = 1, max = 1000), custom(text::prose)))]
    #[schema(min_length = 1, max_length = 1000)]
    pub(super) reason: Option<String>,
}

/// Where the goods are.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ChangeDelivery {
    /// In the seller's words; `shipped` moves a paid request on.
    #[garde(length(chars, min = 1, max = 64), custom(text::line))]
    #[schema(min_length = 1, max_length = 64)]
    pub(super) status: String,
    /// Who carries them; the last one said stays.
    #[garde(inner(length(chars, min = 1, max = 100), custom(text::line)))]
    #[schema(min_length = 1, max_length = 100)]
    pub(super) carrier: Option<String>,
    /// The carrier's number for them; the last one said stays.
    #[garde(inner(length(chars, min = 1, max = 100), custom(text::line)))]
    #[schema(min_length = 1, max_length = 100)]
    pub(super) tracking_number: Option<String>,
}

/// The code that came with the goods.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfirmDelivery {
    /// Small letters and spaces do not matter.
    #[garde(length(chars, min = 1, max = 32), custom(text::line))]
    #[schema(min_length = 1, max_length = 32)]
    pub(super) code: String,
}

/// A checkout to create.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct CreateCheckout {
    /// 1–100 requests of the caller.
    #[garde(length(min = 1, max = MAX_CHECKOUT_REQUESTS))]
    #[schema(min_items = 1, max_items = 100)]
    pub(super) request_ids: Vec<Id>,
}

/// The status of a checkout's payment.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct CheckoutPayment {
    /// `pending`, `confirmed` or `failed`.
    pub(super) status: CheckoutStatus,
    /// The payment, where there is one.
    pub(super) payment_id: Option<Id>,
    /// Why it failed.
    #[garde(inner(length(chars, min = 1, max = 1000), custom(text::prose)))]
    #[schema(min_length = 1, max_length = 1000)]
    pub(super) reason: Option<String>,
}
