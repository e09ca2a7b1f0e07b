//! What buyers and sellers hear of requests, offers, deliveries and checkouts, and the rooms they
//! enter for it (docs/contract/events.md#marketplace).

use serde::Serialize;
use utoipa::ToSchema;

use super::documents::{Offer, PurchaseRequest, RequestStatus};
use crate::{
    events,
    id::Id,
    money::{Amount, Currency},
    realtime::events::{RoomChanged, RoomsChanged},
};

events! {
    server(Marketplace only) {
        /// A buyer made a request.
        NEW_PURCHASE_REQUEST: "new-purchase-request", PurchaseRequest, kept, to "sellers";
        /// A seller made an offer.
        NEW_OFFER: "new-offer", NewOffer, kept, to "buyer-<id>";
        /// An offer was accepted or rejected, or its payment is confirmed.
        SELLER_OFFER_UPDATE: "seller-offer-update", SellerOfferUpdate, kept, to "seller-<id>; everyone on payment-completed";
        /// Something about a request changed.
        PURCHASE_REQUEST_UPDATE: "purchase-request-update", PurchaseRequestUpdate, kept, to "request-<id>";
        /// A request was called off.
        REQUEST_CANCELLED: "request-cancelled", RequestCancelled, kept, to "user-<buyer>, user-<each seller with an offer>";
        /// A request is completed.
        TRANSACTION_COMPLETED: "transaction-completed", TransactionCompleted, kept, to "user-<buyer>, user-<seller>";
        /// The code that the seller hands over with the goods was made.
        DELIVERY_CODE_GENERATED: "delivery-code-generated", DeliveryCodeGenerated, kept, to "request-<id>";
        /// The shipping changed.
        DELIVERY_UPDATE: "delivery-update", DeliveryUpdate, kept, to "request-<id>";
        /// The buyer entered the right code.
        DELIVERY_CONFIRMED: "delivery-confirmed", DeliveryConfirmed, kept, to "request-<id>";
        /// The buyer says that the goods are here.
        BUYER_CONFIRMED_DELIVERY: "buyer-confirmed-delivery", BuyerConfirmedDelivery, kept, to "user-<seller>";
        /// A checkout is paid.
        CHECKOUT_PAYMENT_CONFIRMED: "template-checkout-payment-confirmed", TemplateCheckoutPaymentConfirmed, kept, to "everyone, template-checkout-<id>";
        /// A checkout's payment is on its way.
        CHECKOUT_PAYMENT_PENDING: "template-checkout-payment-pending", TemplateCheckoutPaymentPending, kept, to "everyone";
        /// A checkout's payment failed.
        CHECKOUT_PAYMENT_FAILED: "template-checkout-payment-failed", TemplateCheckoutPaymentFailed, kept, to "everyone";
    }
    client(Marketplace only) {
        /// Enters `request-<id>`.
        JOIN_REQUEST_ROOM: "join-request-room", Id => RoomChanged, rate Join;
        /// Leaves `request-<id>`.
        LEAVE_REQUEST_ROOM: "leave-request-room", Id => RoomChanged, rate Join;
        /// Enters `seller-<id>` and `sellers`.
        JOIN_SELLER_ROOM: "join-seller-room", Id => RoomsChanged, rate Join;
        /// Leaves `seller-<id>` and `sellers`.
        LEAVE_SELLER_ROOM: "leave-seller-room", Id => RoomsChanged, rate Join;
        /// Enters `buyer-<id>` and `buyers`.
        JOIN_BUYER_ROOM: "join-buyer-room", Id => RoomsChanged, rate Join;
        /// Leaves `buyer-<id>` and `buyers`.
        LEAVE_BUYER_ROOM: "leave-buyer-room", Id => RoomsChanged, rate Join;
        /// Enters `template-checkout-<id>`.
        JOIN_CHECKOUT_ROOM: "join-checkout-room", Id => RoomChanged, rate Join;
        /// Leaves `template-checkout-<id>`.
        LEAVE_CHECKOUT_ROOM: "leave-checkout-room", Id => RoomChanged, rate Join;
    }
}

/// A seller made an offer.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewOffer {
    /// The request.
    pub request_id: Id,
    /// The offer.
    pub offer: Offer,
    /// Who made it.
    pub seller_id: Id,
}

/// Something happened to a seller's offer.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SellerOfferUpdate {
    /// The seller.
    pub seller_id: Id,
    /// The request.
    pub request_id: Id,
    /// What happened.
    pub event_type: OfferChange,
    /// The offer now.
    pub data: OfferChangeData,
}

/// What happened to an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OfferChange {
    /// The buyer's payment is confirmed.
    PaymentCompleted,
    /// The buyer took another, or said no.
    OfferRejected,
    /// The buyer took it.
    OfferAccepted,
}

/// An offer after it changed.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OfferChangeData {
    /// The offer.
    pub offer_id: Id,
    /// Whether it is the accepted one.
    pub is_selected: bool,
    /// The payment, once there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<Id>,
    /// The payment's transaction on its chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_hash: Option<String>,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Something about a request changed.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PurchaseRequestUpdate {
    /// What changed.
    #[serde(rename = "type")]
    pub kind: RequestChange,
    /// The request.
    pub request_id: Id,
    /// How far it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<RequestStatus>,
    /// The payment, when it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<Id>,
    /// The payment's transaction on its chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx_hash: Option<String>,
    /// Who handles the payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
}

/// What changed about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RequestChange {
    /// How far it is.
    StatusChanged,
    /// Its words or its budget.
    DetailsChanged,
    /// An offer came.
    OfferCreated,
    /// The buyer took an offer.
    OfferAccepted,
    /// The buyer said no to an offer.
    OfferRejected,
    /// A seller took an offer back.
    OfferWithdrawn,
    /// The shipping.
    DeliveryChanged,
    /// The payment.
    PaymentChanged,
}

/// A request was called off.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestCancelled {
    /// The request.
    pub request_id: Id,
    /// Why.
    pub reason: String,
}

/// A request is completed.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TransactionCompleted {
    /// The request.
    pub request_id: Id,
    /// The payment.
    pub payment_id: Id,
    /// How much was paid.
    #[schema(value_type = f64)]
    pub amount: Amount,
    /// In which currency, as a code.
    #[schema(value_type = String)]
    pub currency: Currency,
}

/// The delivery code was made.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryCodeGenerated {
    /// The request.
    pub request_id: Id,
    /// The code; only the seller's app shows it.
    pub delivery_code: String,
}

/// The shipping changed.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryUpdate {
    /// The request.
    pub request_id: Id,
    /// Where the goods are, in the seller's words.
    pub status: String,
    /// Who carries them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// The carrier's number for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<String>,
}

/// The right delivery code was entered.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryConfirmed {
    /// The request.
    pub request_id: Id,
}

/// The buyer has the goods.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BuyerConfirmedDelivery {
    /// The request.
    pub request_id: Id,
    /// The buyer.
    pub buyer_id: Id,
}

/// A checkout is paid.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateCheckoutPaymentConfirmed {
    /// The checkout.
    pub checkout_id: Id,
    /// The requests in it.
    pub request_ids: Vec<Id>,
    /// The payment; null when its backend did not name it.
    #[schema(required = true)]
    pub payment_id: Option<Id>,
}

/// A checkout's payment is on its way.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateCheckoutPaymentPending {
    /// The checkout.
    pub checkout_id: Id,
}

/// A checkout's payment failed.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateCheckoutPaymentFailed {
    /// The checkout.
    pub checkout_id: Id,
    /// Why.
    pub reason: String,
}
