//! What is kept of people, by room, in the order in which it is erased: what they sign in with first.

use crate::{
    access, accounts, chat, marketplace,
    notifications::{self, NotificationService},
    payments,
    personal::PersonalData,
    points, realtime, users,
};

/// Each room's part. Who has to do with somebody who is erased is notified of what that ends.
pub(super) fn parts(notifications: NotificationService) -> Vec<Box<dyn PersonalData>> {
    vec![
        Box::new(accounts::Personal),
        Box::new(users::Personal),
        Box::new(chat::Personal),
        Box::new(marketplace::Personal::new(notifications)),
        Box::new(payments::Personal),
        Box::new(notifications::Personal),
        Box::new(points::Personal),
        Box::new(access::Personal),
        Box::new(realtime::Personal),
    ]
}
