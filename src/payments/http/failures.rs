//! What payments and payouts both fail by.

use crate::failures;

failures! {
    /// The provider is not set up on this server.
    pub(super) ProviderOff = Conflict("provider_off"),
        "The provider shkeeper is not set up on this server (SHKEEPER_URL).";
    /// The provider did not take it.
    pub(super) ProviderRefused = Conflict("provider_refused"), "The payment provider refused this.";
}
