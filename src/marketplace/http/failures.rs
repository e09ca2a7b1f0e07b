//! What operations of the marketplace fail by.

use crate::failures;

failures! {
    /// The request does not exist, or the caller may not know of it.
    pub(super) NoRequest = NotFound, "There is no such request.";
    /// The offer does not exist, or the caller may not know of it.
    pub(super) NoOffer = NotFound, "There is no such offer.";
    /// The checkout does not exist, or the caller may not know of it.
    pub(super) NoCheckout = NotFound, "There is no such checkout.";
    /// The checkout is paid.
    pub(super) CheckoutPaid = Conflict, "The checkout is paid.";
    /// The request is not open any more.
    pub(super) NotOpen = Conflict, "Only an open request can be changed.";
    /// The request takes no more offers, is the caller's own, or has an offer of theirs.
    pub(super) NoMoreOffers = Conflict, "The request takes no more offers.";
    /// The offer is decided.
    pub(super) OfferDecided = Conflict, "The offer is withdrawn.";
    /// The request is not paid yet, or delivered already.
    pub(super) NotPaid = Conflict, "This is for a request that is paid or shipped.";
    /// The request is not shipped, or delivered already.
    pub(super) NotShipped = Conflict, "The request is paid; this is for one that is shipped.";
    /// The request is not shipped, or completed already.
    pub(super) NotReceived = Conflict, "The request is not shipped, or done already.";
    /// The request is not delivered, or completed already.
    pub(super) NotDelivered = Conflict, "The request is shipped; this is for one that is delivered.";
    /// The request is paid, or cancelled already.
    pub(super) NotCancellable = Conflict,
        "The request is cancelled; this is for one that is open or accepted.";
    /// The delivery code was tried five times.
    pub(super) CodeUsedUp = Conflict("delivery_code_used_up"),
        "This delivery code is used up; the seller has to make another.";
}
