//! Payments over REST (docs/contract/rest.md#payments).

mod failures;
mod payments;
mod payouts;
mod webhooks;

use axum::extract::FromRef;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::service::PaymentService;
use crate::{
    auth::Authenticator,
    rest::{openapi, unread::OpenBodies},
};

/// The routes.
pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Authenticator: FromRef<S>,
    OpenBodies: FromRef<S>,
    PaymentService: FromRef<S>,
{
    openapi::under("Payments", "Payments of buyers, and payouts to sellers.")
        .routes(routes!(payments::create_payment, payments::list_payments))
        .routes(routes!(payments::list_unsettled_payments))
        .routes(routes!(payments::get_payment))
        .routes(routes!(payments::confirm_payment))
        .routes(routes!(payments::set_escrow))
        .routes(routes!(payouts::create_payout))
        .routes(routes!(payouts::list_unsettled_payouts))
        .routes(routes!(payouts::get_payout, payouts::change_payout))
        .routes(routes!(webhooks::invoice))
        .routes(routes!(webhooks::payout))
}
